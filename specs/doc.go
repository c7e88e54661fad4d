// Package specs defines the formats that users of berth write and read:
// networks, policy, annotations, endpoints and events, as types with their
// parsers and checks.
//
// [DecodeConfig], [DecodeNetwork] and [ParseAnnotations] read the users' texts; [Endpoint] and
// [Event] are the answers to them.
//
// The prose in specs/*.md is normative; the schemas in specs/schema and the
// fixtures in specs/testdata are tested against it.
//
// The package uses neither the kernel nor files nor the state of the machine,
// and imports no other room of berth.
package specs
