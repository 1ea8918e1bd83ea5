#!/usr/bin/env bash
# A peer made of Mosquitto's command line tools (apt install mosquitto mosquitto-clients).
#
#     mosquitto.sh mqtt://127.0.0.1:1883 lobby alice          MQTT 5.0
#     mosquitto.sh mqtt://127.0.0.1:1883 lobby bob 3.1.1      MQTT 3.1.1
#
# A peer is one connection that speaks and listens. mosquitto_pub only speaks, mosquitto_sub only
# listens, and each ends the other's connection if both take the same client id. So a Mosquitto of
# our own stands between: a bridge makes one connection, with the peer's id, of all that the tools
# say and hear. A house with a Mosquitto already brings its devices in the same way.
#
# Who has a user name and a password, or a token, puts them into MQTT_USER and MQTT_PASSWORD.
#
# It joins the room and goes through one call, as the first peer or the second, whichever it turns
# out to be; a third is told that the room is full. There is no media in it: the descriptions and
# candidates are the ones of nobody. Enter ends the call of the first. Whatever should not happen
# ends it with an error, and so does waiting in vain.

set -euo pipefail

url=$1 room=$2 me=$3 version=${4:-5.0}
patience=20 # seconds
description='"sdp":"v=0\r\n"'
candidate='"candidate":{"candidate":"candidate:1 1 udp 2122260223 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}'
PATH=$PATH:/usr/sbin # Debian keeps mosquitto there

die() {
    echo "$me: $*" >&2
    exit 1
}

case $version in
3.1.1) bridge_version=mqttv311 tool_version=mqttv311 ;;
5.0) bridge_version=mqttv50 tool_version=mqttv5 ;;
*) die "the version is 3.1.1 or 5.0, not $version" ;;
esac

folder=$(mktemp -d)
tools=()
trap 'kill "${tools[@]}" 2>/dev/null; wait; rm -rf "$folder"' EXIT

cat >"$folder/bridge.conf" <<END
user $(id -un)
listener 0 $folder/socket
allow_anonymous true
log_dest stderr

connection duet
address ${url#mqtt://}
remote_clientid $me
bridge_protocol_version $bridge_version
${MQTT_USER:+remote_username $MQTT_USER}
${MQTT_USER:+remote_password $MQTT_PASSWORD}
try_private false
cleansession true
topic rooms/+/$me/+ in 1
topic rooms/+/+/$me out 1
# Whether the bridge stands, for the tools here only.
notifications true
notifications_local_only true
notification_topic bridge
END
exec {log}< <(exec mosquitto -c "$folder/bridge.conf" 2>&1)
tools+=($!)
until read -r -t $patience -u "$log" line || die "mosquitto does not run" && [[ $line == *running* ]]; do :; done

exec {inbox}< <(exec mosquitto_sub --unix "$folder/socket" -V $tool_version -q 1 -F '%t\t%p' -t bridge -t "rooms/+/$me/+")
tools+=($!)

# The next line of the inbox: its topic and its payload.
hear() {
    IFS=$'\t' read -r -t $patience -u "$inbox" topic payload || die "waited in vain for $1"
    payload=${payload//\": /\":} # some write JSON with spaces
}

until hear 'the bridge' && [[ $topic == bridge ]] && [[ $payload == 1 ]]; do :; done

# send TO TYPE [FIELDS]
send() {
    echo "-> $2 $1"
    mosquitto_pub --unix "$folder/socket" -V $tool_version -q 1 -t "rooms/$room/$1/$me" -m "{\"type\":\"$2\"${3:+,$3}}"
}

# expect FROM TYPE…: the next message, which must be of one of these types, from this sender.
expect() {
    local from=$1 type
    shift
    hear "$*"
    [[ $payload =~ \"type\":\"([a-z-]+)\" ]] || die "$payload is no message"
    type=${BASH_REMATCH[1]}
    echo "<- $type ${topic##*/}"
    [[ " $* " == *" $type "* ]] || die "$payload in place of $*"
    [[ $topic == "rooms/$room/$me/$from" ]] || die "$type comes on $topic"
    said=$type
}

# The last message must have these fields in it.
says() {
    [[ $payload == *"$1"* ]] || die "$payload has no $1"
}

# The other peer, as `joined` and `arrived` name it.
other() {
    [[ $payload =~ \"peer\":\{\"id\":\"([^\"]+)\" ]] || die "$payload names no peer"
    echo "${BASH_REMATCH[1]}"
}

be_first() {
    local other
    expect agent arrived
    other=$(other)
    expect "$other" ready
    send "$other" offer "$description" # whoever receives `ready` makes the offer
    expect "$other" answer
    says "$description"
    expect "$other" candidate
    says "candidate:1 1 udp"
    send "$other" candidate "$candidate"
    read -r || true
    send "$other" bye
    expect agent left
    says "\"peer\":\"$other\""
    says '"reason":"left"'
    send agent leave
}

be_second() {
    local other
    other=$(other)
    send "$other" ready
    expect "$other" offer
    says "$description"
    send "$other" answer "$description"
    send "$other" candidate "$candidate"
    expect "$other" candidate
    says "candidate:1 1 udp"
    expect "$other" bye
    send agent leave
}

send agent join '"info":{"kind":"script"}'
expect agent created joined full
case $said in
created) be_first ;;
joined) be_second ;;
esac
