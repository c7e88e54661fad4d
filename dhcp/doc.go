// Package dhcp is a DHCP client for one interface: DHCPv4 (RFC 2131) and DHCPv6 (RFC 8415),
// each a state machine. Replies of the other side are untrusted.
//
// [New4] and [New6] return a [Client] without a lease, [Resume4] and [Resume6] one that has a
// lease.
//
// The package is pure. Time and randomness are inputs; received messages, timers and the
// results of probes are events; messages to send, and changes of the lease, are the returned
// actions. It opens no socket and changes no interface: dhcp/exchange does the first, package
// hook and the program berth-dhcp the second. It imports the codec insomniacslk/dhcp, specs
// and internal/text.
package dhcp
