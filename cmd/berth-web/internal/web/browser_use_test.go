//go:build browser

package web

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/specs"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// eachView has a link of the navigation, and a text that its view shows.
var eachView = [][2]string{{"overview", "The drawing as a table"}, {"endpoints", "Download CSV"}, {"events", "mac-spoof"}, {"networks", "Shared pools"}}

// openRich opens the page of an agent with something to show in each view.
func openRich(t *testing.T, n int) (ctx context.Context, f *fakeAgent, address string) {
	t.Helper()
	f, _ = richAgent(n)
	address = serveFake(t, f)
	ctx = browse(t)
	browsePage(t, ctx, "open", chromedp.Navigate(address+"/#"+testToken), shows("web-3"))
	f.events <- eventOf("web-0")
	return ctx, f, address
}

// evaluate returns the value of an expression of the page, which may be a promise.
func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	step, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	value, err := chromedp.Run(step, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%.200s: %v", expression, err)
	}
	return value
}

func openView(t *testing.T, ctx context.Context, view [2]string) {
	t.Helper()
	browsePage(t, ctx, view[0], chromedp.Click(fmt.Sprintf(`nav a[href="#%s"]`, view[0])), shows(view[1]))
}

// TestBrowserRequestsNothingElse reads the browser's own record of requests: all are for the
// program that serves the page, and a page has one stream.
func TestBrowserRequestsNothingElse(t *testing.T) {
	t.Parallel()
	f, _ := richAgent(20)
	address := serveFake(t, f)
	ctx := browse(t)
	var mu sync.Mutex
	var asked []string
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			asked = append(asked, e.Request.URL)
		case network.EventRequestWillBeSent:
			asked = append(asked, e.Request.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	browsePage(t, ctx, "open", chromedp.Navigate(address+"/#"+testToken), shows("web-3"))
	f.events <- eventOf("web-0")
	for _, view := range eachView {
		openView(t, ctx, view)
	}
	browsePage(t, ctx, "endpoint", chromedp.Click(`nav a[href="#endpoints"]`), chromedp.Click(`tbody tr:nth-child(3) th a`), shows("Traffic of the last minutes"))
	mu.Lock()
	defer mu.Unlock()
	streams := 0
	for _, url := range asked {
		if !strings.HasPrefix(url, address+"/") {
			t.Errorf("the page requests %s", url)
		}
		if url == address+"/feed" {
			streams++
		}
	}
	if len(asked) < 15 || streams != 1 {
		t.Errorf("%d requests, %d streams: %q; want those of the page's files, and one stream", len(asked), streams, asked)
	}
}

// TestBrowserRefusesForeignOrigin opens a page of another origin, which requests the data of a
// viewer who is logged in.
func TestBrowserRefusesForeignOrigin(t *testing.T) {
	t.Parallel()
	ctx, _, address := openRich(t, 10)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<title>other</title>") }))
	t.Cleanup(other.Close)
	const request = `fetch(%q, {method: %q, credentials: "include", mode: %q}).then((a) => a.type + a.status, (e) => e.name)`
	if got := evaluate[string](t, ctx, fmt.Sprintf(request, address+"/kinds.json", "GET", "cors")); got != "basic200" {
		t.Fatalf("the page's own request: %q", got)
	}
	browsePage(t, ctx, "other", chromedp.Navigate(other.URL))
	for path, method := range map[string]string{"/feed": "GET", "/history?key=x": "GET", "/session": "POST"} {
		if got := evaluate[string](t, ctx, fmt.Sprintf(request, address+path, method, "cors")); got != "TypeError" {
			t.Errorf("%s %s by another origin: %q, want an error", method, path, got)
		}
		if got := evaluate[string](t, ctx, fmt.Sprintf(request, address+path, method, "no-cors")); got != "opaque0" && got != "TypeError" {
			t.Errorf("%s %s by another origin without an answer: %q, want nothing readable", method, path, got)
		}
	}
}

// TestBrowserDownloadsCSV downloads the table as it is shown: its columns, its rows and their
// order. A name that a spreadsheet would compute is text.
func TestBrowserDownloadsCSV(t *testing.T) {
	t.Parallel()
	f, all := richAgent(10)
	all[4].Name = `=1+1,"x"`
	f.set(nil, all...)
	address, dir := serveFake(t, f), t.TempDir()
	ctx := browse(t)
	download := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir})
		return err
	})
	browsePage(t, ctx, "download", download, chromedp.Navigate(address+"/#"+testToken), shows("web-3"), chromedp.Click(`nav a[href="#endpoints"]`),
		shows("10 of 10 endpoints"), chromedp.Click(`thead button[title="Sort by MAC"]`), chromedp.Click(`thead button[title="Sort by MAC"]`),
		waitFor(`document.querySelector("[aria-sort=descending]")`))
	names := evaluate[[]string](t, ctx, `[...document.querySelectorAll("tbody th")].map((th) => th.textContent)`)
	browsePage(t, ctx, "click", chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll("button")].find((b) => b.textContent === "Download CSV").click()`))
	var rows [][]string
	for deadline := time.Now().Add(time.Minute); len(rows) == 0; {
		if text, err := os.ReadFile(filepath.Join(dir, "berth-endpoints.csv")); err == nil && len(text) > 0 {
			if rows, err = csv.NewReader(strings.NewReader(string(text))).ReadAll(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
		} else if time.Now().After(deadline) {
			t.Fatalf("no file was downloaded: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at the directory
	}
	if got := strings.Join(rows[0], " "); got != "Name Network Addresses MAC Parent VLAN Mode Receive Transmit Violations" {
		t.Errorf("columns %q", got)
	}
	for i, row := range rows[1:] {
		want := names[i]
		if want == all[4].Name {
			want = "'" + want
		}
		if row[0] != want || row[3] == "" {
			t.Errorf("row %d: %q, want the name %q", i, row, want)
		}
	}
	if len(rows) != 11 || len(names) != 10 {
		t.Errorf("%d rows for %d of the table", len(rows), len(names))
	}
}

// setField returns an action that enters a value as a person does.
func setField(selector, value string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field.value = %q;
		for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, {bubbles: true}));
	})()`, selector, value))
}

// TestBrowserFiltersEvents chooses events by kind, container and time.
func TestBrowserFiltersEvents(t *testing.T) {
	t.Parallel()
	f, _ := richAgent(10)
	address := serveFake(t, f)
	ctx := browse(t)
	browsePage(t, ctx, "open", chromedp.Navigate(address+"/#"+testToken), shows("web-3"))
	now := time.Now()
	for i, kind := range []specs.Kind{specs.MACSpoof, specs.IPSpoof, specs.MACSpoof} {
		e := eventOf(fmt.Sprint("guest-", i))
		e.Kind, e.Time = kind, now.Add(time.Duration(i-2)*2*time.Hour) // 4 hours ago, 2 hours ago, now
		f.events <- e
	}
	count := func(n int) chromedp.Action[chromedp.Void] {
		return waitFor(fmt.Sprintf(`document.querySelector(".bar [role=status]")?.textContent === "%d of 3 events" && document.querySelectorAll(".events tbody tr").length === %d`, n, n))
	}
	const kinds, times = ".bar label:nth-of-type(1) select", ".bar label:nth-of-type(3) select"
	browsePage(t, ctx, "all", chromedp.Click(`nav a[href="#events"]`), count(3))
	browsePage(t, ctx, "kind", setField(kinds, "ip-spoof"), count(1), shows("guest-1"), setField(kinds, ""), count(3))
	browsePage(t, ctx, "container", chromedp.SendKeys("input[type=search]", "guest-2"), count(1), setField("input[type=search]", ""), count(3))
	browsePage(t, ctx, "last hour", setField(times, "3600"), count(1), shows("guest-2"))
	browsePage(t, ctx, "last day", setField(times, "86400"), count(3))
	// The fields of the page have the time of the viewer's zone.
	local := func(at time.Time) string {
		return evaluate[string](t, ctx, fmt.Sprintf(`(() => { const d = new Date(%d); return new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 19); })()`, at.UnixMilli()))
	}
	const from, to = "input[type=datetime-local]", "label:last-of-type input[type=datetime-local]"
	browsePage(t, ctx, "between", setField(times, "between"), waitFor(`document.querySelectorAll("input[type=datetime-local]").length === 2`), count(3),
		setField(from, local(now.Add(-3*time.Hour))), count(2), setField(to, local(now.Add(-time.Hour))), count(1), shows("guest-1"))
}

// visibleControls are the elements that a keyboard must reach, in the order of the page.
const visibleControls = `[...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
	.filter((e) => e.checkVisibility() && e.getClientRects().length && !e.closest("details:not([open]) > :not(summary)"))`

// focused is the element with the focus, and whether a viewer sees that it has it.
const focused = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body) return { text: "" };
	const drawn = (of) => of && getComputedStyle(of);
	const outline = drawn(e), box = drawn(e.querySelector(":scope > g > .outline, :scope > rect"));
	const seen = parseFloat(outline.outlineWidth) >= 2 && outline.outlineStyle !== "none" || box && parseFloat(box.strokeWidth) >= 2;
	return { text: e.outerHTML.slice(0, 300), seen: !!seen };
})()`

// TestBrowserKeyboard walks through each view by Tab, and works its controls by Enter and Space.
func TestBrowserKeyboard(t *testing.T) {
	t.Parallel()
	ctx, f, _ := openRich(t, 39)
	f.set(errors.New("no agent"), f.endpoints...) // nothing changes while the test walks
	browsePage(t, ctx, "still", shows("The agent does not answer"))
	for _, view := range eachView {
		openView(t, ctx, view)
		walkByTab(t, ctx, view[0])
	}
	press := func(key string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(key) }
	focus := func(selector string) chromedp.Action[chromedp.Void] {
		return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).focus()`, selector))
	}
	browsePage(t, ctx, "Enter follows a link", focus(`nav a[href="#endpoints"]`), press("\r"), shows("Download CSV"))
	browsePage(t, ctx, "Enter sorts", focus(`thead button[title="Sort by MAC"]`), press("\r"), waitFor(`document.querySelector("[aria-sort=ascending] button")?.title === "Sort by MAC"`))
	browsePage(t, ctx, "Space chooses", focus(`.bar input[type=checkbox]`), press(" "), waitFor(`document.querySelector(".bar input[type=checkbox]").checked`))
	browsePage(t, ctx, "Enter opens the columns", focus(`.choice summary`), press("\r"), waitFor(`document.querySelector(".choice").open`))
	browsePage(t, ctx, "Enter skips to the content", focus(`.skip`), press("\r"), waitFor(`document.activeElement.id === "content"`))
	browsePage(t, ctx, "Space explains a kind", chromedp.Click(`nav a[href="#events"]`), shows("mac-spoof"), focus(`td button.kind`), press(" "), shows("What to do."))
	browsePage(t, ctx, "Enter unfolds a VLAN", chromedp.Click(`nav a[href="#overview"]`), waitFor(`document.querySelector(".fold")`), focus(`.fold`), press("\r"),
		waitFor(`document.querySelectorAll(".leaf").length > 24`), press(" "), waitFor(`document.querySelectorAll(".leaf").length === 24`))
	browsePage(t, ctx, "Enter opens a container", focus(`a.leaf`), press("\r"), shows("Traffic of the last minutes"))
	walkByTab(t, ctx, "endpoint")
}

// walkByTab presses Tab until the focus is back at the first control. The table of endpoints has
// other rows in the document while it scrolls, so that a control is known by its text.
func walkByTab(t *testing.T, ctx context.Context, view string) {
	t.Helper()
	browsePage(t, ctx, view+" from its beginning", chromedp.Evaluate[chromedp.Void](`document.activeElement.blur(), scrollTo(0, 0), document.querySelector(".skip").focus()`))
	reached := make(map[string]bool)
	first := ""
	for i := range 1000 {
		var now struct {
			Text string
			Seen bool
		}
		if err := json.Unmarshal([]byte(evaluate[string](t, ctx, "JSON.stringify("+focused+")")), &now); err != nil {
			t.Fatal(err)
		}
		switch {
		case i == 0:
			first = now.Text // focused by the test, not by a key
		case now.Text == first:
			if !now.Seen {
				t.Errorf("%s: the focus is not visible at %s", view, now.Text)
			}
			wantReached(t, ctx, view, reached)
			return
		case now.Text != "" && !now.Seen:
			t.Errorf("%s: the focus is not visible at %s", view, now.Text)
		}
		reached[now.Text] = true
		if _, err := chromedp.Run(ctx, chromedp.KeyEvent("\t")); err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("%s: the focus is not back at the first control after 1000 steps", view)
}

func wantReached(t *testing.T, ctx context.Context, view string, reached map[string]bool) {
	t.Helper()
	all := evaluate[[]string](t, ctx, visibleControls+".map((e) => e.outerHTML.slice(0, 300))")
	for _, control := range all {
		if !reached[control] {
			t.Errorf("%s: Tab does not reach %s", view, control)
		}
	}
	if len(all) < 8 {
		t.Errorf("%s: %d controls", view, len(all))
	}
}

// TestBrowserKeepsTheFocus requires that a control keeps the focus while a list before it grows and a
// part before it appears.
func TestBrowserKeepsTheFocus(t *testing.T) {
	t.Parallel()
	ctx, _, _ := openRich(t, 10)
	got := evaluate[string](t, ctx, `import("./dom.js").then(async ({ html, render, useState }) => {
		let set;
		const Form = () => {
			const [n, change] = useState(0);
			set = change;
			return html`+"`<form>${n > 1 && html`<p>part</p>`}${Array.from({ length: n }, (_, i) => html`<b key=${i}>${i}</b>`)}<input /></form>`"+`;
		};
		render(html`+"`<${Form} />`"+`, document.body.appendChild(document.createElement("div")));
		const input = document.querySelector("div > form > input");
		input.focus();
		for (const n of [1, 5, 2, 0]) {
			set(n);
			await null;
			await null;
			if (document.activeElement !== input) return "the focus is lost with " + n;
		}
		return "kept";
	})`)
	if got != "kept" {
		t.Error(got)
	}
}

// TestBrowserLeavesASilentStream requires that a page whose stream has no messages any more, although
// it is open, opens another one, and that a message that cannot be applied ends its stream.
func TestBrowserLeavesASilentStream(t *testing.T) {
	t.Parallel()
	ctx, f, _ := openRich(t, 10)
	streams := `import("./store.js").then(async ({ patience, store }) => {
		const was = window.fetch;
		window.opened = 0;
		window.aborted = 0;
		window.fetch = (address, options) => {
			if (address === "feed") {
				window.opened++;
				options?.signal?.addEventListener("abort", () => window.aborted++);
			}
			return was(address, options);
		};
		patience.silence = 1500;
		for (const time = store.time; store.time === time;) await new Promise((done) => setTimeout(done, 20)); // from the next message on
		return "ready";
	})`
	if got := evaluate[string](t, ctx, streams); got != "ready" {
		t.Fatal(got)
	}
	func() {
		f.mu.Lock() // the agent does not answer, and the page gets nothing
		defer f.mu.Unlock()
		browsePage(t, ctx, "silent", waitFor("window.opened >= 2 && window.aborted >= 1"))
	}()
	browsePage(t, ctx, "again", waitFor(`document.querySelector(".live:not(.off)")`), shows("web-3"))
	opened := evaluate[int](t, ctx, `import("./store.js").then(({ store }) => { store.rows.get = () => undefined; return window.opened; })`)
	f.set(nil, endpointOf("web-3", 77_777))
	browsePage(t, ctx, "failed", waitFor(fmt.Sprintf("window.opened > %d && window.aborted >= window.opened - 1", opened)))
}

// TestBrowserReducedMotion requires that nothing moves for a viewer who has asked for that.
func TestBrowserReducedMotion(t *testing.T) {
	t.Parallel()
	ctx, _, _ := openRich(t, 20)
	const moving = `[...document.querySelectorAll("*")].filter((e) => {
		const s = getComputedStyle(e);
		return s.transitionDuration.split(", ").some((d) => d !== "0s") || s.animationName !== "none";
	}).length`
	for _, view := range eachView {
		openView(t, ctx, view)
		for preference, allowed := range map[string]bool{"reduce": false, "no-preference": true} {
			browsePage(t, ctx, preference, media("prefers-reduced-motion", preference))
			if n := evaluate[int](t, ctx, moving); n > 0 && !allowed || n == 0 && allowed && view[0] == "overview" {
				t.Errorf("%s with %s: %d elements move", view[0], preference, n)
			}
		}
	}
}

// cutOff are the controls that are outside of the window and not in an element that scrolls.
const cutOff = visibleControls + `.filter((e) => {
	const r = e.getBoundingClientRect();
	const scrolls = (p) => p && (["auto", "scroll"].includes(getComputedStyle(p).overflowX) || scrolls(p.parentElement));
	return (r.left < -1 || r.right > innerWidth + 1) && !e.matches(".skip") && !scrolls(e.parentElement);
}).map((e) => e.outerHTML.slice(0, 120))`

// tooWide are the elements whose content ends to the right of the window, without those that scroll.
const tooWide = `[...document.querySelectorAll("body *")].filter((e) => {
	const scrolls = (p) => p && (["auto", "scroll", "hidden"].includes(getComputedStyle(p).overflowX) || scrolls(p.parentElement));
	return e.getBoundingClientRect().left + Math.max(e.scrollWidth, e.offsetWidth) > innerWidth && !scrolls(e);
}).map((e) => e.outerHTML.slice(0, 100))`

// overlapping is the number of texts of the chart's axes that overlap the one before.
const overlapping = `(() => {
	const boxes = [...document.querySelectorAll(".chart .axes text")].map((e) => e.getBoundingClientRect());
	if (boxes.length < 7) return 99;
	return boxes.filter((a, i) => boxes.slice(0, i).some((b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 3 && b.top < a.bottom - 3)).length;
})()`

// TestBrowserFitsItsWindow shows each view in small windows: that of a phone, and that of 1280
// pixels at a zoom of 200 %. The page never scrolls sideways, and no control is cut off.
func TestBrowserFitsItsWindow(t *testing.T) {
	t.Parallel()
	ctx, _, _ := openRich(t, 50)
	for _, window := range []struct {
		name          string
		width, height int64
		scale         float64
	}{{"zoom 200 %", 640, 450, 2}, {"phone", 360, 780, 3}, {"narrow", 320, 600, 2}, {"wide", 1920, 1080, 1}} {
		browsePage(t, ctx, window.name, chromedp.EmulateViewport(window.width, window.height, chromedp.EmulateScale(window.scale)))
		fits := func(view string) {
			browsePage(t, ctx, view+" fits", waitFor(fmt.Sprintf(`innerWidth === %d`, window.width)))
			if wide := evaluate[int](t, ctx, `document.documentElement.scrollWidth`); wide > int(window.width) {
				t.Errorf("%s, %s: the page is %d pixels wide, by %q", window.name, view, wide, evaluate[[]string](t, ctx, tooWide))
			}
			if cut := evaluate[[]string](t, ctx, cutOff); len(cut) > 0 {
				t.Errorf("%s, %s: cut off: %q", window.name, view, cut)
			}
		}
		for _, view := range eachView {
			openView(t, ctx, view)
			fits(view[0])
		}
		browsePage(t, ctx, "endpoint", chromedp.Click(`nav a[href="#endpoints"]`), chromedp.Click(`tbody tr:nth-child(3) th a`), shows("Traffic of the last minutes"))
		fits("endpoint")
		if n := evaluate[int](t, ctx, overlapping); n > 0 {
			t.Errorf("%s: %d texts of the chart overlap", window.name, n)
		}
	}
}

// TestBrowserKeepsLists changes lists at random, with keys and without, and compares the document
// with one that is rendered anew.
func TestBrowserKeepsLists(t *testing.T) {
	t.Parallel()
	ctx, _, _ := openRich(t, 10)
	got := evaluate[string](t, ctx, `import("./dom.js").then(async ({ html, render, useState, useEffect }) => {
		let seed = 7;
		const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
		let living = 0, set;
		const Item = ({ name }) => {
			const [first] = useState(name);
			useEffect(() => { living++; return () => { living--; }; }, []);
			if (name % 5 === 0) return null;
			return name % 3 ? html`+"`<li title=${name}>${first}</li>`"+` : [html`+"`<li>${name}</li>`"+`, name % 2 && html`+"`<p>${first}</p>`"+`];
		};
		const List = () => {
			const [names, change] = useState([]);
			set = change;
			return html`+"`<h1>${names.length}</h1>${names.length > 4 && html`<b>many</b>`}<ul>${names.map((n) => html`<${Item} key=${n} name=${n} />`)}</ul>${names.filter((n) => n % 2).join()}`"+`;
		};
		const show = (names) => {
			const div = document.createElement("div");
			render(html`+"`<${List} />`"+`, div);
			set(names);
			return div;
		};
		const kept = show([]), change = set;
		for (let round = 0; round < 300; round++) {
			const names = [...new Set(Array.from({ length: random(12) }, () => random(20)))];
			change(names);
			await null;
			await null;
			const fresh = show(names);
			await null;
			await null;
			if (kept.innerHTML !== fresh.innerHTML) return round + ": " + kept.innerHTML + " instead of " + fresh.innerHTML;
		}
		change([]);
		await null;
		await null;
		return "same";
	})`)
	if got != "same" {
		t.Error(got)
	}
}
