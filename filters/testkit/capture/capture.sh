#!/usr/bin/env bash
# Captures testdata/frames anew: one broker, one client after the other, the relay between them.
#
#   capture.sh KAFKA_LIBS PYTHON GO_CLIENT CAPTURE_FRAMES FRAMES
#
# PYTHON has kafka-python and confluent-kafka. The run takes about three minutes.
set -euo pipefail
libs=$1 python=$2 go_client=$3 relay=$4 frames=$5
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
client_port=9392 broker_port=9492
run=$(mktemp -d); broker='' tap=''
trap '[ -z "$tap" ] || kill $tap; [ -z "$broker" ] || kill -9 $broker; rm -rf "$run"' EXIT

cat > "$run/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9493
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:$broker_port,CONTROLLER://127.0.0.1:9493,INTERNAL://127.0.0.1:9494
advertised.listeners=CLIENT://127.0.0.1:$client_port,INTERNAL://127.0.0.1:9494
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT
inter.broker.listener.name=INTERNAL
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs=$run/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.coordinator.rebalance.protocols=classic,consumer,share,streams
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
PROPERTIES
printf 'status=error\nappender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%%p %%m%%n\nrootLogger.level=info\nrootLogger.appenderRef.out.ref=out\n' > "$run/log4j2.properties"
java=(java -Xmx512m -XX:+UseSerialGC "-Dlog4j2.configurationFile=$run/log4j2.properties" -cp "$libs/*")
"${java[@]}" kafka.tools.StorageTool format -t bifrostGoldenFrames001 -c "$run/server.properties" > "$run/format.log" 2>&1
"${java[@]}" kafka.Kafka "$run/server.properties" > "$run/kafka.log" 2>&1 & broker=$!
for _ in $(seq 180); do grep -q 'Kafka Server started' "$run/kafka.log" && break; sleep 0.5; done
grep -q 'Kafka Server started' "$run/kafka.log" || { tail -20 "$run/kafka.log" >&2; exit 1; }

# with CASE COMMAND...: runs the command while the relay writes frames of that case.
with() {
  local case=$1; shift
  "$relay" 127.0.0.1:$client_port 127.0.0.1:$broker_port "$case" "$frames" 6144 2> "$run/relay.$case.log" & tap=$!
  sleep 0.5
  echo "== $case" >&2
  timeout 240 "$@" || echo "$case ended with $?" >&2
  kill $tap; wait $tap 2>/dev/null || true; tap=''
  cat "$run/relay.$case.log" >&2
}

bootstrap=127.0.0.1:$client_port
javac -nowarn -d "$run/classes" -cp "$libs/*" "$here/Capture.java"
with java java -Xmx512m -XX:+UseSerialGC -cp "$run/classes:$libs/*" Capture "$bootstrap"
with librdkafka "$python" "$here/librdkafka.py" "$bootstrap"
with kafka-python "$python" "$here/kafka_python.py" "$bootstrap"
for version in 0.11 1.0 2.1 2.4 2.6 3.0; do
  with "kafka-python-${version/./-}" "$python" "$here/kafka_python.py" "$bootstrap" "$version"
done
with franz-go "$go_client" create-topic bootstrap="$bootstrap" topic=go partitions=2
with franz-go-produce "$go_client" produce bootstrap="$bootstrap" topic=go count=20 size=40
with franz-go-transact "$go_client" transact bootstrap="$bootstrap" topic=go count=5 size=40 transactional_id=tx-go
with franz-go-consume "$go_client" consume bootstrap="$bootstrap" topic=go group=go count=20 timeout_ms=20000

# Its answer holds a path of this machine.
rm -rf "$frames/DescribeLogDirs"
