package edit

import (
	"fmt"
	"strings"
)

// context is the number of lines that a diff shows around a change, as diff -u does.
const context = 3

// Diff returns a unified diff of two texts, or "" if they are equal. An empty name stands
// for a file that does not exist.
func Diff(oldName, newName, before, after string) string {
	if before == after {
		return ""
	}
	ops := editScript(splitLines(before), splitLines(after))
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", fileName(oldName), fileName(newName))
	for from := 0; from < len(ops); {
		if ops[from].kind == ' ' {
			from++
			continue
		}
		to, same := from, 0 // to is the end of the hunk's last change
		for i := from; i < len(ops) && same <= 2*context; i++ {
			if same++; ops[i].kind != ' ' {
				to, same = i+1, 0
			}
		}
		writeHunk(&b, ops, max(0, from-context), min(len(ops), to+context))
		from = min(len(ops), to+context)
	}
	return b.String()
}

func fileName(name string) string {
	if name == "" {
		return "/dev/null"
	}
	return name
}

func splitLines(text string) (all []string) {
	for line := range strings.Lines(text) {
		all = append(all, line)
	}
	return all
}

// lineOp is a line of both texts, or of one of them.
type lineOp struct {
	kind byte // ' ', '-' or '+'
	line string
	a, b int // lines of each text before this one
}

// editScript returns a shortest edit script: Myers, "An O(ND) Difference Algorithm and Its
// Variations" (1986), the greedy form.
func editScript(a, b []string) []lineOp {
	best := map[int]int{1: 0}
	var trace []map[int]int
	for d := 0; ; d++ {
		now := make(map[int]int, len(best)+2)
		for k, x := range best {
			now[k] = x
		}
		trace = append(trace, best)
		for k := -d; k <= d; k += 2 {
			x := now[k-1] + 1
			if k == -d || k != d && now[k-1] < now[k+1] {
				x = now[k+1]
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			if now[k] = x; x >= len(a) && x-k >= len(b) {
				return backtrack(trace, a, b)
			}
		}
		best = now
	}
}

// backtrack walks the trace from its end to the beginning.
func backtrack(trace []map[int]int, a, b []string) []lineOp {
	var ops []lineOp
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		v, k := trace[d], x-y
		from := k - 1
		if k == -d || k != d && v[k-1] < v[k+1] {
			from = k + 1
		}
		startX := v[from]
		startY := startX - from
		for x > max(startX, 0) && y > max(startY, 0) {
			x, y = x-1, y-1
			ops = append(ops, lineOp{' ', a[x], x, y})
		}
		if d == 0 {
			break
		}
		if x == startX {
			y--
			ops = append(ops, lineOp{'+', b[y], x, y})
		} else {
			x--
			ops = append(ops, lineOp{'-', a[x], x, y})
		}
	}
	for i, j := 0, len(ops)-1; i < j; i, j = i+1, j-1 {
		ops[i], ops[j] = ops[j], ops[i]
	}
	return ops
}

func writeHunk(w *strings.Builder, ops []lineOp, from, to int) {
	var a, b int
	for _, o := range ops[from:to] {
		if o.kind != '+' {
			a++
		}
		if o.kind != '-' {
			b++
		}
	}
	fmt.Fprintf(w, "@@ -%s +%s @@\n", hunkRange(ops[from].a, a), hunkRange(ops[from].b, b))
	for _, o := range ops[from:to] {
		w.WriteByte(o.kind)
		w.WriteString(o.line)
		if !strings.HasSuffix(o.line, "\n") {
			w.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// hunkRange returns a hunk's range in one text; if it has no lines, the number of the line before it.
func hunkRange(before, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", before)
	case 1:
		return fmt.Sprint(before + 1)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}
