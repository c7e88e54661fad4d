// Package rules tests what is in deploy/prometheus: that promtool takes the
// scrape configuration and the rules, that the rules do as their tests say, and
// that there is one for each kind of violation. It has no code of its own.
package rules
