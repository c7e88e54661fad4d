//go:build browser

package web

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeRun returns the findings of axe-core: the rule, and the elements that break it.
const axeRun = `axe.run().then(({violations}) => violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary)).join("\n"))`

// TestAxe examines each view, in light and dark, wide and narrow. `make web-test` runs it with the
// page of an agent that has something to show in each view, and `make axe` with that of demo-web.
func TestAxe(t *testing.T) {
	t.Parallel()
	file := os.Getenv("BERTH_AXE")
	if file == "" {
		t.Fatal("BERTH_AXE is not set; want the file that scripts/axe.sh prints")
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all, ctx := views, context.Context(nil)
	if address := os.Getenv("BERTH_PAGE"); address != "" {
		ctx = browse(t)
		browsePage(t, ctx, "login", chromedp.Navigate(address), shows("guest"), waitFor(`!!document.querySelector("svg .mark")`))
	} else {
		ctx, _, _ = openRich(t, 50)
		all = richViews()
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](string(axe))); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{1280, 360} {
		for _, scheme := range []string{"light", "dark"} {
			for _, view := range all {
				name := fmt.Sprint(view.name, " ", scheme, " ", width)
				actions := append([]chromedp.Action[chromedp.Void]{chromedp.EmulateViewport(width, 800), media("prefers-color-scheme", scheme)}, view.open...)
				browsePage(t, ctx, name, append(actions, view.shown...)...)
				if found := evaluate[string](t, ctx, axeRun); strings.TrimSpace(found) != "" {
					t.Errorf("%s:\n%s", name, found)
				}
			}
		}
	}
}

// richViews are the views of the page of openRich.
func richViews() (all []view) {
	for _, v := range eachView {
		all = append(all, view{v[0], goTo(v[0]), shownAll(v[1])})
	}
	return append(all, view{"endpoint", openEndpoint("web-3"), shownAll("Facts")})
}
