// Package wire is the codec of the DHCP messages that a client sends and receives: DHCPv4 (RFC
// 2131, RFC 2132) and DHCPv6 (RFC 8415). [Parse4] and [Parse6] decode a [Message4] and a [Message6],
// whose method Bytes encodes them. It has the options that berth uses and no names of others, so
// that a program that links it starts without their tables.
//
// A message of a server is untrusted. The parsers accept every message that the library
// insomniacslk/dhcp accepts, with the same values; a fuzz target compares the two. It imports the
// Go library alone.
package wire
