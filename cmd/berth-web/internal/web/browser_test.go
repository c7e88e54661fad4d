//go:build browser

package web

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/specs"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browse starts a browser, which ends with the test. Its console's errors fail the test.
func browse(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel2 := chromedp.NewContext(ctx)
	t.Cleanup(cancel2)
	if _, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page failed: %+v", e.ExceptionDetails)
		case runtime.EventExceptionThrown:
			t.Errorf("the page failed: %+v", e.ExceptionDetails)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// browsePage runs actions, and fails the test with the page's text if one fails.
func browsePage(t *testing.T, ctx context.Context, name string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	begun := time.Now()
	step, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := chromedp.Do(step, actions...); err != nil {
		text, _ := chromedp.Run(ctx, chromedp.Text("body"))
		t.Fatalf("%s: %v; the page shows %.600q", name, err, text)
	}
	t.Logf("%s: %v", name, time.Since(begun).Round(time.Millisecond))
	if dir := os.Getenv("BERTH_SCREENSHOTS"); dir != "" {
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, t.Name()+"-"+strings.ReplaceAll(name, " ", "-")+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// waitFor waits until an expression of the page is true.
func waitFor(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(2*time.Minute))
}

// media sets a feature that the page's style depends on.
func media(name, value string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: name, Value: value}}})
		return err
	})
}

func shows(text string) chromedp.Action[chromedp.Void] {
	return waitFor(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

func lanOf(n int) []specs.Endpoint {
	var all []specs.Endpoint
	for i := range n {
		e := endpointOf(fmt.Sprintf("web-%d", i), uint64(i)*1000)
		e.VLAN, e.Network = 10*(i%3), fmt.Sprintf("lan%d", i%3)
		e.MAC = specs.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
		e.Addresses = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 16)}
		if i > 0 {
			e.Violations = nil
		}
		all = append(all, e)
	}
	return all
}

// richAgent returns an agent with something to show in each view, and its endpoints. The first is
// named like a script.
func richAgent(n int) (*fakeAgent, []specs.Endpoint) {
	f := &fakeAgent{events: make(chan specs.Event)}
	all := lanOf(n)
	all[9].Origin, all[9].Network = specs.OriginObserved, ""
	all[0].Name, all[0].Image, all[0].Labels = hostile, hostile, map[string]string{hostile: hostile}
	all[1].Engine, all[2].Door = specs.EnginePodman, "netavark"
	f.set(nil, all...)
	f.networks = []specs.NetworkStatus{pooled()}
	f.checks = &Checks{Time: time.Now(), Lines: []specs.CheckLine{
		{Subject: "host", Check: "podman", Result: specs.CheckWarn, Message: hostile, Remedy: "do `berth install --engine podman` now"},
		{Subject: "host", Check: "kernel", Result: specs.CheckPass, Message: "Linux 6.1"}}}
	f.cluster = &specs.ClusterStatus{ID: "0a", Node: hostile, Nodes: []specs.ClusterNode{{Name: hostile, This: true, Present: true, Blocks: 2, Size: 16, Used: 3}},
		Pools: []specs.ClusterPool{{Domain: "hq", Range: "192.0.2.64/26", Size: 64, Blocks: 8, Claimed: 2, Used: 3}}}
	return f, all
}

func TestBrowser(t *testing.T) {
	t.Parallel()
	f, all := richAgent(10)
	address := serveFake(t, f)
	ctx := browse(t)
	browsePage(t, ctx, "no token", chromedp.Navigate(address+"/"), shows("This page needs a token"))
	browsePage(t, ctx, "wrong token", chromedp.Navigate("about:blank"), chromedp.Navigate(address+"/#"+testToken+"wrong"), shows("token of this address is wrong"))
	browsePage(t, ctx, "overview", chromedp.Navigate("about:blank"), chromedp.Navigate(address+"/#"+testToken), shows("VLAN 20"), shows("web-9"), shows("berth-lan"),
		waitFor(`!location.hash.includes("`+testToken+`")`))
	browsePage(t, ctx, "search of the overview", chromedp.SendKeys(`input[type=search]`, "web-3"), shows("1 of 10 endpoints"), waitFor(`document.querySelectorAll(".leaf.dim").length === 10`)) // the host shim too
	browsePage(t, ctx, "reload", chromedp.Reload(), shows("web-9"))
	f.events <- specs.Event{Kind: specs.MACSpoof, Time: time.Now(), Parent: "eth1", Certainty: specs.Certain, Detail: hostile,
		Sender: &specs.Party{ContainerID: all[0].ContainerID, Name: hostile, Interface: "eth0"}}
	browsePage(t, ctx, "events", chromedp.Click(`.tiles a[href="#events"]`), shows("mac-spoof"), shows(hostile),
		chromedp.Click("td button.kind"), shows("What to do."))
	browsePage(t, ctx, "endpoints", chromedp.Click(`nav a[href="#endpoints"]`), shows("10 of 10 endpoints"), shows(hostile), shows("(not by berth)"),
		chromedp.SendKeys(`input[type=search]`, "web-3"), shows("1 of 10 endpoints"))
	browsePage(t, ctx, "endpoint", chromedp.Click(`tbody th a`), shows("Traffic of the last minutes"),
		waitFor(`document.querySelectorAll(".chart path.line").length >= 8`), shows("198.18.0.3/16"))
	browsePage(t, ctx, "networks", chromedp.Click(`nav a[href="#networks"]`), shows("lan2"), shows("counting"), shows("2 in use; 53 of 56 can be given out without a request"),
		waitFor(`document.querySelectorAll(".map .held").length === 3`), // two, and one in the legend
		waitFor(`document.querySelectorAll(".map .excluded").length === 9`), waitFor(`document.querySelectorAll(".map .free").length === 54`))
	browsePage(t, ctx, "checks", shows("berth install --engine podman"), shows("1 passed"), shows("3 of 16"), shows("2 of 8"), shows("netavark 1"))
	f.set(fmt.Errorf("no agent"), all...)
	browsePage(t, ctx, "agent killed", shows("The agent does not answer"), shows("lan2"))
	f.set(nil, all...)
	browsePage(t, ctx, "agent back", waitFor(`!document.body.innerText.includes("The agent does not answer")`))
	wantOneReload(t, ctx)
	browsePage(t, ctx, "overview again", shows("VLAN 20"))
	browsePage(t, ctx, "nothing ran", waitFor(`window.pwned === undefined && window.isNew`))
}

// wantOneReload sends the page a message with another version, as an upgraded program does, and
// requires that it loads itself again, and not a second time.
func wantOneReload(t *testing.T, ctx context.Context) {
	t.Helper()
	const newer = `import("./store.js").then((s) => s.apply({time: new Date().toISOString(), version: "newer"}))`
	browsePage(t, ctx, "upgraded", chromedp.Evaluate[chromedp.Void](`window.isOld = true, setTimeout(() => `+newer+`, 100), void 0`))
	deadline := time.Now().Add(time.Minute)
	for {
		isOld, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!!window.isOld || document.readyState !== "complete"`))
		if err == nil && !isOld {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the page of an older version was not loaded again: %v", err)
		}
	}
	browsePage(t, ctx, "upgraded again", shows("live,"), chromedp.Evaluate[chromedp.Void](newer+`.then(() => { window.isNew = true })`, chromedp.EvalAwaitPromise), waitFor(`window.isNew`))
}

// talkAll changes the counters of all endpoints each second.
func talkAll(ctx context.Context, f *fakeAgent) {
	for second := uint64(1); ctx.Err() == nil; second++ {
		all := lanOf(10000)
		for i := range all {
			all[i].Counters.Receive.External.Unicast.Bytes = second * uint64(1000+i)
			all[i].Counters.Transmit.Local.Unicast.Bytes = second * 500
		}
		f.set(nil, all...)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// frameTimes scrolls for 8 seconds, and returns the longest times between frames and the tasks of
// more than 50 ms, in milliseconds. They are printed, and depend on the machine.
const frameTimes = `new Promise((done) => {
	const took = [], tasks = [];
	const tell = new PerformanceObserver((all) => tasks.push(...all.getEntries().map((e) => Math.round(e.duration))));
	tell.observe({ type: "longtask" });
	let last = performance.now();
	const begun = last;
	const box = document.querySelector(".scroll");
	const frame = (now) => {
		took.push(Math.round(now - last));
		last = now;
		if (box) box.scrollTop += 40;
		if (now - begun < 8000) requestAnimationFrame(frame);
		else done("frames " + took.sort((a, b) => b - a).slice(0, 12).join(" ") + " of " + took.length + "; long tasks " + tasks.sort((a, b) => b - a).join(" "));
	};
	requestAnimationFrame(frame);
})`

// changesOfUpdates counts the changes of the document by five updates, and returns the number of
// one. The clock of the page shows each update.
const changesOfUpdates = `new Promise((done) => {
	let updates = -1, changes = 0;
	const observer = new MutationObserver((all) => {
		changes += all.reduce((n, m) => n + 1 + m.addedNodes.length + m.removedNodes.length, 0);
		if (!all.some((m) => m.target.parentNode?.className === "live")) return;
		if (++updates === 0) changes = 0;
		if (updates < 5) return;
		observer.disconnect();
		done(Math.round(changes / 5));
	});
	observer.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
})`

// wantFewChanges fails the test if an update changes more of the document than the rows in sight.
func wantFewChanges(t *testing.T, ctx context.Context, view string, most int) {
	t.Helper()
	n, err := chromedp.Run(ctx, chromedp.Evaluate[int](changesOfUpdates, chromedp.EvalAwaitPromise))
	if err != nil || n > most || n == 0 {
		t.Errorf("%s: an update with 10,000 endpoints that talk changes the document %d times, %v; want 1 to %d", view, n, err, most)
	}
	t.Logf("%s: an update changes the document %d times", view, n)
}

func TestBrowserWithManyEndpoints(t *testing.T) {
	t.Parallel()
	f := &fakeAgent{events: make(chan specs.Event)}
	f.set(nil, lanOf(10000)...)
	address := serveFake(t, f)
	ctx := browse(t)
	browsePage(t, ctx, "overview", chromedp.Navigate(address+"/#"+testToken), shows("VLAN 20"), shows("and 3325 more"))
	browsePage(t, ctx, "endpoints", chromedp.Click(`nav a[href="#endpoints"]`), shows("10000 of 10000 endpoints"),
		waitFor(`document.querySelectorAll("tbody tr").length < 200`))
	talking, stop := context.WithCancel(t.Context())
	defer stop()
	go talkAll(talking, f)
	browsePage(t, ctx, "all talk", waitFor(`document.querySelectorAll("td.number").length > 0`), chromedp.Click(`thead button[title="Sort by Receive"]`),
		waitFor(`/[1-9]/.test(document.querySelectorAll("tbody tr td.number")[1]?.textContent)`))
	wantFewChanges(t, ctx, "endpoints", 2000) // 50 rows of 10 cells, each of which may be made anew
	slow, err := chromedp.Run(ctx, chromedp.Evaluate[string](frameTimes, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("8 s with 10,000 endpoints that talk: %s", slow)
	browsePage(t, ctx, "overview of talkers", chromedp.Click(`nav a[href="#overview"]`), shows("and 3325 more"), waitFor(`document.querySelectorAll(".leaf").length === 24`))
	wantFewChanges(t, ctx, "overview", 1500) // 24 containers
	stop()
	browsePage(t, ctx, "endpoints again", chromedp.Click(`nav a[href="#endpoints"]`), shows("10000 of 10000 endpoints"))
	browsePage(t, ctx, "end of the table", chromedp.Click(`thead button[title="Sort by Name"]`), waitFor(`(document.querySelector(".scroll").scrollTop = 1e9) > 0`), shows("web-9999"))
}
