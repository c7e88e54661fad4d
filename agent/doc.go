// Package agent joins what the datapath counted with the records of what was
// attached: who is behind a slot, and how much it sent and received.
//
// It needs no running agent: `berth ps` uses [Collect] by itself. The agent's
// process is made of the packages below this one: daemon (attach, follow,
// reconcile), frame and events (judge), metrics and api (serve); client is the
// other end of api. This package reads records and maps and changes neither.
// Of berth it imports internal/state, bpf and specs.
package agent
