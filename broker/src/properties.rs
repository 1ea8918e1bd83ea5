//! Properties of an application message that a broker passes on (MQTT 5.0, 3.3.2.3), encoded
//! without their length.

use crate::limits::Bound;
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

/// Whether a client may publish with these: no subscription identifier (MQTT-3.3.4-6), and no wildcard or U+0000 in
/// the response topic (MQTT-3.3.2-14, MQTT-1.5.4-2); the library does not look.
pub fn may_be_published(properties: &[Property]) -> bool {
    properties.iter().all(|property| match property {
        Property::SubscriptionIdentifier(_) => false,
        Property::ResponseTopic(topic) => !topic.val().contains(['+', '#', '\0']),
        _ => true,
    })
}

/// Whether a message has no more user properties than it may.
///
/// # Errors
/// In words, if it has.
pub fn check_user(properties: &[Property], bound: Bound) -> Result<(), String> {
    let user = properties.iter().filter_map(|property| match property {
        Property::UserProperty(user) => Some(user.key().len() + user.val().len()),
        _ => None,
    });
    let (number, bytes) = user.fold((0, 0), |(number, bytes), size| (number + 1, bytes + size));
    if number > bound.number || bytes > bound.bytes {
        let Bound { number: most, bytes: most_bytes } = bound;
        return Err(format!(
            "there may be {most} user properties with {most_bytes} bytes together, and here are {number} with {bytes}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_protocol_core::mqtt::packet::{TopicAlias, UserProperty};

    #[test]
    fn user_properties_have_a_number_and_a_size() {
        let user = |value: &str| Property::UserProperty(UserProperty::new("key", value).unwrap());
        let bound = Bound { number: 2, bytes: 10 };
        for (properties, fits) in [
            (vec![], true),
            (vec![user("1234567")], true),
            (vec![user("12345678")], false),
            (vec![user(""), user("")], true),
            (vec![user(""), user(""), user("")], false),
            (vec![Property::MessageExpiryInterval(MessageExpiryInterval::new(5).unwrap()); 3], true),
        ] {
            assert_eq!(check_user(&properties, bound).is_ok(), fits, "{properties:?}");
        }
    }

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
