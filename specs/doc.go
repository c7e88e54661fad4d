// Package specs holds what users of berth write and read: networks, policy,
// annotations, endpoints and events, as types with their parsers and checks.
//
// The prose in specs/*.md is normative; the schemas in specs/schema and the
// fixtures in specs/testdata are held to it by tests.
//
// The package knows nothing of the kernel, of files or of the machine that it
// runs on, and imports no other room of berth.
package specs
