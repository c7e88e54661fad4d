package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"berth/internal/config"
)

// addCompletion adds cobra's completion command as a group like the others, which refuse
// unknown arguments. It writes to root's present output.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		shells := cmd.Commands()
		for _, shell := range shells {
			shell.Args = noArguments
			shell.Short = "write the completion for " + shell.Name()
		}
		root.RemoveCommand(cmd)
		cmd.RemoveCommand(shells...)
		root.AddCommand(commandGroup(cmd.Name(), "write a completion for a shell", shells...))
	}
}

// completeNetworks completes the networks that are not on the line yet.
func completeNetworks(env *Env) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		names, err := config.Names(env.dirs.Config)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return exclude(names, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeContainers completes the live containers that are not on the line yet.
func completeContainers(env *Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		endpoints, err := env.readEndpoints(cmd.Context(), false)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var ids []string
		for i := range endpoints {
			ids = append(ids, printable(displayName(&endpoints[i])))
		}
		slices.Sort(ids)
		return exclude(slices.Compact(ids), args), cobra.ShellCompDirectiveNoFileComp
	}
}

// exclude returns all but those that are in another list.
func exclude(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}
