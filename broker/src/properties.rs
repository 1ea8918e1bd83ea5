//! Properties of an application message that a broker passes on (MQTT 5.0, 3.3.2.3), encoded
//! without their length.

use bytes::{BufMut, BytesMut};
use mqtt_protocol_core::mqtt::packet::{MessageExpiryInterval, Property};

/// Appends those of `properties` that go to the receivers: payload format, expiry, content type,
/// response topic, correlation data and user properties.
pub fn encode(properties: &[Property], out: &mut BytesMut) {
    for property in properties {
        if let Property::PayloadFormatIndicator(_)
        | Property::MessageExpiryInterval(_)
        | Property::ContentType(_)
        | Property::ResponseTopic(_)
        | Property::CorrelationData(_)
        | Property::UserProperty(_) = property
        {
            out.put_slice(&property.to_continuous_buffer());
        }
    }
}

/// Reads them back. `waited` seconds are taken off the expiry (MQTT-3.3.2-6); `None` if the
/// message has expired meanwhile.
pub fn decode(mut encoded: &[u8], waited: u64) -> Option<Vec<Property>> {
    let mut properties = Vec::new();
    while !encoded.is_empty() {
        let Ok((property, length)) = Property::parse(encoded) else { break };
        encoded = encoded.get(length..).unwrap_or_default();
        properties.push(match property {
            Property::MessageExpiryInterval(interval) if waited > 0 => {
                let left = u64::from(interval.val()).checked_sub(waited).filter(|left| *left > 0)?;
                let left = MessageExpiryInterval::new(u32::try_from(left).ok()?).ok()?;
                Property::MessageExpiryInterval(left)
            }
            other => other,
        });
    }
    Some(properties)
}

/// The message's expiry in seconds, if it has one.
pub fn expiry(mut encoded: &[u8]) -> Option<u32> {
    while !encoded.is_empty() {
        let (property, length) = Property::parse(encoded).ok()?;
        if let Property::MessageExpiryInterval(interval) = property {
            return Some(interval.val());
        }
        encoded = encoded.get(length..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_protocol_core::mqtt::packet::{TopicAlias, UserProperty};

    #[test]
    fn what_goes_on_and_what_stays() {
        let user = Property::UserProperty(UserProperty::new("a", "b").unwrap());
        let expiry_5 = Property::MessageExpiryInterval(MessageExpiryInterval::new(5).unwrap());
        let alias = Property::TopicAlias(TopicAlias::new(3).unwrap());
        let mut encoded = BytesMut::new();
        encode(&[user.clone(), alias, expiry_5.clone()], &mut encoded);
        assert_eq!(decode(&encoded, 0), Some(vec![user.clone(), expiry_5]));
        let expiry_2 = Property::MessageExpiryInterval(MessageExpiryInterval::new(2).unwrap());
        assert_eq!(decode(&encoded, 3), Some(vec![user, expiry_2]));
        assert_eq!(decode(&encoded, 5), None);
        assert_eq!(expiry(&encoded), Some(5));
        assert_eq!((expiry(&[]), decode(&[], 9)), (None, Some(vec![])));
    }
}
