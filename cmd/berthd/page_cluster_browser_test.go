//go:build browser

package main

import (
	"fmt"
	"testing"

	"berth/internal/testnet"
	"berth/specs"

	"github.com/chromedp/chromedp"
)

// clusterRows is the text of the tables of the cluster, cell by cell: its nodes, without the time since
// when they are present, then its pools.
const clusterRows = `[...document.querySelectorAll("section")].filter((s) => s.querySelector("h2")?.textContent.startsWith("Cluster"))
	.flatMap((s) => [...s.querySelectorAll("tbody tr")]).map((tr) => [...tr.children].filter((cell) => !/:\d\d/.test(cell.textContent)).map((cell) => cell.textContent.trim()))`

// TestBrowserShowsACluster opens the page of a node of a real cluster: two agents with a server of
// etcd, and containers on both.
func TestBrowserShowsACluster(t *testing.T) {
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	lan, networks := newClusterLAN(t), map[string]string{"lan": clusterNetwork}
	a, b := lan.newNode("a", parent, 2, networks), lan.newNode("b", parent, 3, networks)
	for range 3 {
		a.mustStartOne("lan")
	}
	b.mustStartOne("lan")
	a.clusterIs("4 attachments of two nodes", func(s specs.ClusterStatus) bool {
		return len(s.Attachments) == 4 && len(s.Nodes) == 2 && s.Nodes[0].Present && s.Nodes[1].Present &&
			s.Nodes[0].Used == 3 && s.Nodes[1].Used == 1 && s.Pools[0].Used == 4 && s.Error == ""
	})
	ctx := browsePage(t)
	onPage(t, ctx, "cluster", chromedp.Navigate(a.startPage().address), chromedp.Click(`nav a[href="#networks"]`), onceTrue(clusterRows+".length === 3"))
	testnet.Eventually(t, "the cluster's figures on the page", func() bool { // which reads them each 30 s
		s, err := a.client.Cluster(t.Context())
		mustSucceed(t, err)
		rows, err := chromedp.Run(ctx, chromedp.Evaluate[[][]string](clusterRows))
		mustSucceed(t, err)
		got, want := fmt.Sprintf("%q", rows), fmt.Sprintf("%q", shownCluster(&s))
		if got != want {
			t.Logf("the page shows %s, the cluster has %s", got, want)
		}
		return got == want
	})
	onPage(t, ctx, "addresses of the pool", onceTrue(`document.querySelectorAll(".mapbox .held").length === 3`))
}

// shownCluster returns the cells of clusterRows for a cluster of two present nodes, of which the first
// is this machine.
func shownCluster(s *specs.ClusterStatus) (rows [][]string) {
	share := func(part, all any) string { return fmt.Sprintf("%d of %d", part, all) }
	for i, n := range s.Nodes {
		name := n.Name
		if i == 0 {
			name += " this machine"
		}
		rows = append(rows, []string{name, "present", fmt.Sprint(n.Blocks), share(n.Used, n.Size)})
	}
	for _, p := range s.Pools {
		rows = append(rows, []string{p.Domain, p.Range, share(p.Used, p.Size), share(p.Claimed, p.Blocks), fmt.Sprint(p.Idle), fmt.Sprint(p.Here), fmt.Sprint(p.FreeHere), p.Error})
	}
	return rows
}
