// Package e2e tests berth's programs from the user's side: real container engines
// start containers with annotations on hosts of a small LAN, and the tests compare
// the containers, the wire, the command line's output and the remaining files.
//
// The package has only tests. They use berth as programs and files, and read the
// database only to prove that nothing in it has changed.
package e2e
