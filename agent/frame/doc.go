// Package frame summarises the first bytes of an Ethernet frame for a person: addresses,
// protocol, ports.
//
// [Parse] returns the summary.
//
// The bytes come from a container and may be anything: a summary names the fields that it
// can parse, leaves out the rest, and never fails. The package does not reassemble
// fragments or look into tunnels. It imports only berth/specs.
package frame
