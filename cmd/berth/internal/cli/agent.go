package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"berth/agent/client"
	"berth/bpf"
	"berth/specs"
)

func newAgent(env *Env) *cobra.Command {
	return commandGroup("agent", "query and control the agent, berthd",
		newAgentStatus(env), newAgentDetach(env), newAgentAttach(env))
}

func newAgentStatus(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "show the state of the agent", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return agentStatus(cmd.Context(), env, asJSON) },
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// agentStatus fails if no agent runs, so that scripts can check it.
func agentStatus(ctx context.Context, env *Env, asJSON bool) error {
	status, err := client.New(env.dirs.State).Status(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(env.Out, []specs.AgentStatus{status})
	}
	return writeStatus(env, &status)
}

// writeStatus prints the state of the agent, and a table of its parents if it has any.
func writeStatus(env *Env, s *specs.AgentStatus) error {
	if err := describeAgent(env, s); err != nil {
		return err
	}
	if len(s.Parents) == 0 {
		return nil
	}
	fmt.Fprintln(env.Out)
	return parentTable(s.Parents).writeTable(env.Out, env.Width)
}

func describeAgent(env *Env, s *specs.AgentStatus) error {
	lost := ""
	if s.EventsLost > 0 {
		lost = strconv.FormatUint(s.EventsLost, 10) + " (they came too fast; their violations are counted)"
	}
	pairs := [][2]string{
		{"agent", fmt.Sprintf("berthd %s, pid %d, up %s", s.Version, s.PID, ageText(env.Now().Sub(s.Started)))},
		{"counting", countingText(s)},
		{"endpoints", fmt.Sprintf("%d of at most %d", s.Endpoints, s.MaxEndpoints)},
		{"metrics", cmp.Or(s.Metrics, "off")},
		{"events lost", lost},
	}
	problems := slices.Clone(s.Problems)
	for _, p := range s.Parents {
		if p.Problem != "" && !slices.ContainsFunc(s.Problems,
			func(s string) bool { return strings.Contains(s, p.Problem) }) {
			problems = append(problems, p.Name+": "+p.Problem)
		}
	}
	for _, p := range problems {
		pairs = append(pairs, [2]string{"problem", p})
	}
	var b strings.Builder
	for _, pair := range pairs {
		if pair[1] != "" {
			writeWrapped(&b, fmt.Sprintf("%-12s ", pair[0]), printable(pair[1]), cmp.Or(env.Wrap, noLimit))
		}
	}
	_, err := io.WriteString(env.Out, b.String())
	return err
}

// countingText names the parents at which frames may pass uncounted.
func countingText(s *specs.AgentStatus) string {
	in := func(state specs.ParentState) bool {
		return slices.ContainsFunc(s.Parents, func(p specs.ParentStatus) bool { return p.State == state })
	}
	switch {
	case !s.Attached:
		return "no: detached on request; attach with berth agent attach"
	case in(specs.ParentFailed) && !in(specs.ParentCounting):
		return "no: it fails on each parent; see the problems below"
	case in(specs.ParentFailed):
		var failed []string
		for _, p := range s.Parents {
			if p.State == specs.ParentFailed {
				failed = append(failed, p.Name)
			}
		}
		return fmt.Sprintf("not on %s; see the problems below", strings.Join(failed, ", "))
	}
	return "yes"
}

func parentTable(parents []specs.ParentStatus) *table {
	t := &table{head: []string{"PARENT", "STATE", "ATTACHED BY", "MAC", "ENDPOINTS", "NETWORKS"},
		whole: []string{"MAC", "ENDPOINTS"}}
	for _, p := range parents {
		t.addLines([]string{p.Name}, []string{string(p.State)}, []string{p.Attach}, []string{p.MAC.String()},
			[]string{strconv.Itoa(p.Endpoints)}, p.Networks)
	}
	return t
}

func newAgentDetach(env *Env) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use: "detach", Short: "detach berth's programs from all parents", Args: noArguments,
		Long: "Detach berth's programs from all parents. Nothing is counted or judged until\n" +
			"berth agent attach, or until the agent starts again. The counts are kept.\n" +
			"The command also works if no agent is running.",
		Example: "  berth agent detach\n  berth agent detach --purge",
		RunE:    func(cmd *cobra.Command, _ []string) error { return detachAgent(cmd.Context(), env, purge) },
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "also remove the counts and all other pinned objects")
	return cmd
}

// detachAgent asks the agent to detach, or detaches by itself if no agent runs.
func detachAgent(ctx context.Context, env *Env, purge bool) error {
	err := client.New(env.dirs.State).Detach(ctx, purge)
	if errors.Is(err, client.ErrNoAgent) {
		pinned := bpf.DetachPinned
		if purge {
			pinned = bpf.PurgePinned
		}
		err = pinned(env.dirs.BPFFS)
		if errors.Is(err, fs.ErrNotExist) {
			env.warnf("nothing to detach: no agent is running, and nothing is pinned under %q", env.dirs.BPFFS)
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("detach the programs: %w", err)
	}
	result := "detached; counts are kept"
	if purge {
		result = "detached; counts are removed"
	}
	_, err = fmt.Fprintln(env.Out, result)
	return err
}

func newAgentAttach(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "attach", Short: "attach berth's programs again", Args: noArguments,
		Long: "Attach berth's programs to all parents again after berth agent detach.\nThe agent must be running.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := client.New(env.dirs.State).Attach(cmd.Context()); err != nil {
				return fmt.Errorf("attach the programs: %w", err)
			}
			_, err := fmt.Fprintln(env.Out, "attached")
			return err
		},
	}
}
