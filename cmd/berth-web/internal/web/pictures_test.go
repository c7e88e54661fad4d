//go:build browser

package web

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictures makes the pictures of docs/ from a page that runs: scripts/pictures.sh starts it,
// and names its address and the directory. It is no test of the page.
func TestPictures(t *testing.T) {
	address, dir := os.Getenv("BERTH_PAGE"), os.Getenv("BERTH_PICTURES")
	if address == "" {
		t.Skip("run `make pictures`: it sets BERTH_PAGE, the address of a page, and BERTH_PICTURES, a directory")
	}
	ctx := browse(t)
	browsePage(t, ctx, "login", chromedp.Navigate(address), shows("guest"), waitFor(`!!document.querySelector("svg .mark")`))
	for i := range 4 { // the charts get a history
		browsePage(t, ctx, "history", waitFor(fmt.Sprintf("(window.wait%d ??= Date.now()) < Date.now() - 35000", i)))
	}
	for _, size := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"", 1280, 860, false}, {"-dark", 1280, 860, true}, {"-phone", 360, 780, false}} {
		scheme := "light"
		if size.dark {
			scheme = "dark"
		}
		browsePage(t, ctx, "size"+size.name, chromedp.EmulateViewport(size.width, size.height), media("prefers-color-scheme", scheme))
		for _, view := range views {
			if (size.name != "" && view.name != "overview" || view.name == "violations") && os.Getenv("BERTH_ALL_PICTURES") == "" {
				continue // docs/ has these of the overview alone
			}
			browsePage(t, ctx, view.name+size.name, append(view.open, view.shown...)...)
			png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "web-"+view.name+size.name+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// openEndpoint opens the view of a container, by the table of endpoints.
func openEndpoint(name string) []chromedp.Action[chromedp.Void] {
	return []chromedp.Action[chromedp.Void]{chromedp.Click(`nav a[href="#endpoints"]`), waitFor(fmt.Sprintf(`(() => {
		const link = [...document.querySelectorAll("tbody th a")].find((a) => a.textContent === %q);
		link?.click();
		return !!link;
	})()`, name))}
}

// view is a way to a view from the navigation.
type view struct {
	name  string
	open  []chromedp.Action[chromedp.Void]
	shown []chromedp.Action[chromedp.Void]
}

// views are those of the page of demo-web.
var views = []view{
	{"overview", goTo("overview"), shownAll("guest")},
	{"endpoints", goTo("endpoints"), shownAll("Download CSV", "guest")},
	{"endpoint", openEndpoint("web"), append(shownAll("Facts"), waitFor(`document.querySelector(".chart path.line1")?.getAttribute("d").length > 50`))},
	{"violations", openEndpoint("guest"), shownAll("Facts", "mac-spoof")},
	{"events", goTo("events"), shownAll("mac-spoof")},
	{"networks", goTo("networks"), shownAll("in use", "passed")},
}

func goTo(view string) []chromedp.Action[chromedp.Void] {
	return []chromedp.Action[chromedp.Void]{chromedp.Click(fmt.Sprintf("nav a[href=\"#%s\"]", view))}
}

func shownAll(texts ...string) (all []chromedp.Action[chromedp.Void]) {
	for _, text := range texts {
		all = append(all, shows(text))
	}
	return all
}
