// Package testnet gives privileged tests a separate network: namespaces, veth
// pairs, bridges, taps and captures. It also reports which kernel features are
// missing.
//
// [Main] first moves the whole test binary into new namespaces, so a test can
// only change objects that it made, and all of them end with the test, even if it
// is killed.
//
// The package is for tests only. It imports no other package of berth, so the
// tests of every package can use it.
package testnet
