// Package testnet gives privileged tests a network of their own: namespaces,
// veth pairs, bridges, taps and captures, and says which kernel features are
// missing.
//
// [Main] moves a whole test binary into new namespaces first, so a test can
// only touch what it made, and all of it dies with the test, also when that is
// killed.
//
// The package is for tests only. It does not import any other room of berth,
// so every room's tests can use it.
package testnet
