// Package top is the terminal view of `berth top`: parents, endpoints with their rates, and
// violations as they happen.
//
// The view is a pure function of its messages: keys, the terminal's size, and the agent's
// answers ([Model]). Only source.go uses the agent, and only run.go has a terminal. All
// foreign text is made safe in one place, [theme.fitText].
//
// It imports agent/client, internal/rates, internal/text, specs and the packages beside it.
package top
