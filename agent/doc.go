// Package agent joins the datapath's counts with the attachment records: the container
// behind a slot, and its traffic.
//
// It needs no running agent: `berth ps` uses [Collect] directly. The agent's process
// consists of the packages below this one: daemon (attach, follow, reconcile), frame and
// events (judge), metrics and api (serve); client is the other end of api. This package
// reads records and maps and changes neither. Of berth it imports internal/state, bpf and
// specs.
package agent
