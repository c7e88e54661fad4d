package main

// emptyGo is the cost of starting any Go program, a lower limit for a hook.
const emptyGo = "empty Go program"

// newEmpty builds a program that does nothing, and returns it as a peer in place of the
// hook.
func newEmpty(dir string) (peer, error) {
	program, err := buildProgram(dir, "empty", "package main\n\nfunc main() {}\n")
	if err != nil {
		return peer{}, err
	}
	run := func(string, int) command { return command{path: program} }
	return peer{name: emptyGo, attach: run, detach: run}, nil
}
