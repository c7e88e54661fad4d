package bpf

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"berth/internal/testnet"
)

// The verifier of older kernels rounds the stack of each function up to 32 bytes, and refuses a
// program if those of nested calls are more than 512 together (check_max_stack_depth in
// kernel/bpf/verifier.c of Linux 6.1; 6.7 and newer round up to 16 bytes if the program is compiled).
const (
	stackUnit  = 32
	stackLimit = 512
)

// TestStackOfNestedCalls adds up the stacks of nested calls as 6.1 does, whatever kernel runs.
func TestStackOfNestedCalls(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Types)
	spec, into := emptyDatapath(t)
	must(t, spec.Variables[datapathVarHaveKernelTypes].Set(true))
	calls := make(map[string]*callGraph)
	for name, p := range spec.Programs {
		calls[name] = callsOf(name, p)
	}
	options := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: into.dir}}
	options.Programs.LogLevel = ebpf.LogLevelStats
	c, err := ebpf.NewCollectionWithOptions(spec, options)
	must(t, err)
	defer c.Close()
	for name, p := range c.Programs {
		sizes := stacksOf(t, name, p.VerifierLog)
		if len(sizes) != len(calls[name].functions) {
			t.Errorf("%s: stacks %v for the functions %q", name, sizes, calls[name].functions)
			continue
		}
		if total, path := calls[name].deepest(name, sizes); total > stackLimit {
			t.Errorf("%s: %d bytes of stack by the calls %q", name, total, path)
		}
	}
}

// callGraph has the functions of a program in the order of their instructions, and those that each calls.
type callGraph struct {
	functions []string
	calls     map[string]map[string]bool
}

func callsOf(name string, p *ebpf.ProgramSpec) *callGraph {
	g := &callGraph{calls: make(map[string]map[string]bool)}
	at := name
	for _, ins := range p.Instructions {
		if symbol := ins.Symbol(); symbol != "" {
			at = symbol
			g.functions, g.calls[at] = append(g.functions, at), make(map[string]bool)
		}
		if ins.IsFunctionCall() {
			g.calls[at][ins.Reference()] = true
		}
	}
	return g
}

// stacksOf returns the stack of each function from the line "stack depth 120+96+16" of the verifier.
func stacksOf(t *testing.T, name, log string) (sizes []int) {
	t.Helper()
	_, list, ok := strings.Cut(log, "stack depth ")
	if !ok {
		t.Fatalf("%s: the verifier prints no stack depth: %q", name, log)
	}
	list, _, _ = strings.Cut(list, "\n")
	list, _, _ = strings.Cut(list, " max ") // of 7.2: the sum of the deepest calls
	for part := range strings.SplitSeq(strings.TrimSpace(list), "+") {
		size, err := strconv.Atoi(part)
		must(t, err)
		sizes = append(sizes, (max(size, 1)+stackUnit-1)/stackUnit*stackUnit)
	}
	return sizes
}

// deepest returns the path of calls from a function that takes most stack.
func (g *callGraph) deepest(from string, sizes []int) (total int, path []string) {
	for _, callee := range slices.Sorted(maps.Keys(g.calls[from])) {
		if sum, below := g.deepest(callee, sizes); sum > total {
			total, path = sum, below
		}
	}
	return total + sizes[slices.Index(g.functions, from)], append([]string{from}, path...)
}
