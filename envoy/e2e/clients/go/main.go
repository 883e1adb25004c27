// The franz-go client of the end-to-end tests: franz-client VERB name=value... Prints one JSON object;
// a failure is one line on standard error and exit status 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type arguments map[string]string

type report map[string]any

func main() {
	verbs := map[string]func(context.Context, arguments) (report, error){
		"create-topic":  createTopic,
		"produce":       produce,
		"transact":      transact,
		"consume":       consume,
		"member":        member,
		"share-consume": shareConsume,
	}
	args := arguments{}
	for _, word := range os.Args[2:] {
		name, value, _ := strings.Cut(word, "=")
		args[name] = value
	}
	verb, known := verbs[os.Args[1]]
	if !known {
		fail(fmt.Errorf("unknown verb %s", os.Args[1]))
	}
	result, err := verb(context.Background(), args)
	if err != nil {
		fail(err)
	}
	printJSON(result)
}

func createTopic(ctx context.Context, args arguments) (report, error) {
	client, err := args.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	created, err := kadm.NewClient(client).CreateTopic(ctx, int32(args.number("partitions", 1)), int16(args.number("replication", -1)), nil, args["topic"])
	if err != nil {
		return nil, err
	}
	return report{"partitions": created.NumPartitions}, nil
}

func produce(ctx context.Context, args arguments) (report, error) {
	var options []kgo.Opt
	if args["acks"] == "0" {
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	}
	if args["config.compression.type"] == "none" {
		options = append(options, kgo.ProducerBatchCompression(kgo.NoCompression()))
	}
	client, err := args.client(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	first := args.number("first", 0)
	return send(ctx, client, args, first, first+args.number("count", 0))
}

// transact aborts one transaction, then commits another.
func transact(ctx context.Context, args arguments) (report, error) {
	client, err := args.client(kgo.TransactionalID(args["transactional_id"]))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	count := args.number("count", 0)
	var committed report
	for _, commit := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := client.BeginTransaction(); err != nil {
			return nil, err
		}
		from := count
		if commit {
			from = 0
		}
		if committed, err = send(ctx, client, args, from, from+count); err != nil {
			return nil, err
		}
		if err := client.EndTransaction(ctx, commit); err != nil {
			return nil, err
		}
	}
	return committed, nil
}

func consume(ctx context.Context, args arguments) (report, error) {
	return receive(ctx, args, kgo.ConsumerGroup(args["group"]))
}

// shareConsume needs a group that begins at the earliest offset; the Java client's verb sets that.
func shareConsume(ctx context.Context, args arguments) (report, error) {
	return receive(ctx, args, kgo.ShareGroup(args["group"]))
}

func receive(ctx context.Context, args arguments, group kgo.Opt) (report, error) {
	options := []kgo.Opt{group, kgo.ConsumeTopics(args["topic"]), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	if args["config.isolation.level"] == "read_committed" {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	client, err := args.client(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(args.number("timeout_ms", 30_000))*time.Millisecond)
	defer cancel()
	tally := newTally()
	for tally.count < args.number("count", 0) && ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil && ctx.Err() == nil {
			return nil, err
		}
		fetches.EachRecord(tally.add)
	}
	return tally.report(), nil
}

// member prints each assignment, until standard input ends.
func member(ctx context.Context, args arguments) (report, error) {
	assigned := []int32{}
	show := func() {
		slices.Sort(assigned)
		printJSON(report{"assigned": assigned})
	}
	lose := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		assigned = slices.DeleteFunc(assigned, func(p int32) bool { return slices.Contains(lost[args["topic"]], p) })
	}
	client, err := args.client(
		kgo.ConsumerGroup(args["group"]),
		kgo.ConsumeTopics(args["topic"]),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			assigned = append(assigned, added[args["topic"]]...)
			show()
		}),
		kgo.OnPartitionsRevoked(lose),
		kgo.OnPartitionsLost(lose),
	)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	client.Close()
	return report{"left": true}, err
}

func send(ctx context.Context, client *kgo.Client, args arguments, from, to int) (report, error) {
	records := make([]*kgo.Record, 0, to-from)
	for index := from; index < to; index++ {
		records = append(records, &kgo.Record{Topic: args["topic"], Key: key(index), Value: value(index, args.number("size", 10))})
	}
	tally := newTally()
	for _, result := range client.ProduceSync(ctx, records...) {
		if result.Err != nil {
			return nil, result.Err
		}
		tally.add(result.Record)
	}
	return tally.report(), nil
}

func (args arguments) client(options ...kgo.Opt) (*kgo.Client, error) {
	options = append(options, kgo.SeedBrokers(strings.Split(args["bootstrap"], ",")...), kgo.ClientID("franz-go"))
	return kgo.NewClient(options...)
}

func (args arguments) number(name string, otherwise int) int {
	text, given := args[name]
	if !given {
		return otherwise
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		fail(fmt.Errorf("%s is not a number: %w", name, err))
	}
	return number
}

func printJSON(object report) {
	if err := json.NewEncoder(os.Stdout).Encode(object); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
