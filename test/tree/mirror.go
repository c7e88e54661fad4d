package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// A mirror is an archive that has a suite.
type mirror struct {
	uri     string
	suite   string
	keyring string // file in the machine's file system
	trusted bool
}

// line returns the mirror as an entry of sources.list in the tree, with the keyring
// of Debian's package.
func (m mirror) line() string {
	option := "signed-by=" + debianKeyring
	if m.trusted {
		option = "trusted=yes"
	}
	return fmt.Sprintf("deb [%s] %s %s main\n", option, m.uri, m.suite)
}

// debianKeyring is the keyring in package debian-archive-keyring.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// findMirrors returns the main mirror of a suite, first, and those of its
// updates and security fixes, if the machine's sources and the archive have
// them.
func findMirrors(ctx context.Context, p *proxy, all []source, suite, scratch string) ([]mirror, error) {
	main, security := archives(all)
	first, err := findMirror(ctx, p, main, suite, scratch)
	if err != nil {
		return nil, err
	}
	found := []mirror{first}
	for _, more := range []struct {
		from  []source
		suite string
	}{{main, suite + "-updates"}, {security, suite + "-security"}} {
		if m, err := findMirror(ctx, p, more.from, more.suite, scratch); err == nil {
			found = append(found, m)
		}
	}
	return found, nil
}

func findMirror(ctx context.Context, p *proxy, from []source, suite, scratch string) (mirror, error) {
	var failed []error
	for _, s := range from {
		for _, uri := range s.uris {
			uri, err := plainURI(uri)
			if err == nil {
				err = hasSuite(ctx, p, uri, suite)
			}
			if err != nil {
				failed = append(failed, err)
				continue
			}
			keyring, err := s.keyring(scratch)
			return mirror{uri: uri, suite: suite, keyring: keyring, trusted: s.trusted}, err
		}
	}
	return mirror{}, fmt.Errorf("none of this machine's apt sources has Debian's suite %q: %w", suite,
		errors.Join(failed...))
}

// plainURI returns the first entry if a URI names a list of mirrors in a file, such
// as mirror+file:/etc/apt/mirrors/debian.list in Debian's cloud images.
func plainURI(uri string) (string, error) {
	path, ok := strings.CutPrefix(uri, "mirror+file:")
	if !ok {
		return strings.TrimSuffix(uri, "/"), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the list of mirrors: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			return strings.TrimSuffix(fields[0], "/"), nil
		}
	}
	return "", fmt.Errorf("the list of mirrors %q is empty", path)
}

var origin = regexp.MustCompile(`(?m)^Origin: Debian$`)

// hasSuite returns nil if an archive has the suite and its origin is Debian.
func hasSuite(ctx context.Context, p *proxy, uri, suite string) error {
	text, err := readHead(ctx, p, uri+"/dists/"+suite+"/InRelease")
	if err == nil && !origin.Match(text) {
		err = errors.New("its origin is not Debian")
	}
	if err != nil {
		return fmt.Errorf("suite %q at %s: %w", suite, uri, err)
	}
	return nil
}

// readHead returns the first 64 KiB of a file at a URI.
func readHead(ctx context.Context, p *proxy, uri string) ([]byte, error) {
	if path, ok := strings.CutPrefix(uri, "file:"); ok {
		return os.ReadFile(path)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{Proxy: p.forRequest, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 64<<10))
}

// forRequest returns the proxy of apt's configuration, or else of the environment.
func (p *proxy) forRequest(r *http.Request) (*url.URL, error) {
	if text := p.proxyFor(r.URL.Scheme, r.URL.Hostname()); text != "" {
		return url.Parse(text)
	}
	return http.ProxyFromEnvironment(r)
}
