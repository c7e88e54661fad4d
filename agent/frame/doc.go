// Package frame summarises the first bytes of an Ethernet frame for a person:
// addresses, protocol, ports.
//
// The bytes come from a container and may be anything: a summary names what it
// can read and leaves out the rest, and never fails. It does not reassemble
// fragments, does not look into tunnels, and imports only berth/specs.
package frame
