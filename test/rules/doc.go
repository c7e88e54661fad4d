// Package rules tests the files in deploy/prometheus: promtool accepts the scrape
// configuration and the rules, the rules pass their tests, and each kind of violation
// has a rule. The package has only tests.
package rules
