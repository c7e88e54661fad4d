//go:build browser

package web

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeRun returns the findings of axe-core: the rule, and the elements that break it.
const axeRun = `axe.run().then(({violations}) => violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary)).join("\n"))`

// TestAxe examines each view of a page that runs, in light and dark, wide and narrow. `make axe`
// starts the page, and gets axe-core.
func TestAxe(t *testing.T) {
	address, file := os.Getenv("BERTH_PAGE"), os.Getenv("BERTH_AXE")
	if file == "" {
		t.Skip("run `make axe`: it sets BERTH_PAGE, the address of a page, and BERTH_AXE, the file axe.min.js")
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx := browse(t)
	browsePage(t, ctx, "login", chromedp.Navigate(address), shows("guest"), waitFor(`!!document.querySelector("svg .mark")`))
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](string(axe))); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{1280, 360} {
		for _, scheme := range []string{"light", "dark"} {
			for _, view := range views {
				name := fmt.Sprint(view.name, " ", scheme, " ", width)
				actions := append([]chromedp.Action[chromedp.Void]{chromedp.EmulateViewport(width, 800), media("prefers-color-scheme", scheme)}, view.open...)
				browsePage(t, ctx, name, append(actions, view.shown...)...)
				found, err := chromedp.Run(ctx, chromedp.Evaluate[string](axeRun, chromedp.EvalAwaitPromise))
				if err != nil || strings.TrimSpace(found) != "" {
					t.Errorf("%s: %v\n%s", name, err, found)
				}
			}
		}
	}
}
