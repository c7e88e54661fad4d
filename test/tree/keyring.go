package tree

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keyring writes the keys of a source to the directory scratch, in the binary format
// of gpgv, and returns the file.
func (s source) keyring(scratch string) (string, error) {
	files := s.signedBy
	if len(files) == 0 || !strings.Contains(files[0], "BEGIN PGP") && !filepath.IsAbs(files[0]) {
		// Without Signed-By, or with fingerprints, apt uses its trusted keys.
		files = []string{debianKeyring}
		for _, pattern := range []string{"/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d/*.gpg",
			"/etc/apt/trusted.gpg.d/*.asc"} {
			more, err := filepath.Glob(pattern)
			if err != nil {
				return "", err
			}
			files = append(files, more...)
		}
	}
	var all []byte
	for _, f := range files {
		keys, err := readKeys(f)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return "", err
		}
		all = append(all, keys...)
	}
	if len(all) == 0 {
		return "", fmt.Errorf("no keys in %q: install debian-archive-keyring", files)
	}
	name := filepath.Join(scratch, "keyring.gpg")
	return name, os.WriteFile(name, all, 0o644)
}

// readKeys returns the keys in a file, or in literal text, as binary packets.
func readKeys(file string) ([]byte, error) {
	data := []byte(file)
	if filepath.IsAbs(file) {
		var err error
		if data, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	if !bytes.Contains(data, []byte("-----BEGIN PGP")) {
		return data, nil
	}
	return dearmor(string(data))
}

// dearmor decodes every block of ASCII armour: RFC 9580, section 6.2.
func dearmor(text string) ([]byte, error) {
	var keys []byte
	for block := range strings.SplitSeq(text, "-----BEGIN PGP PUBLIC KEY BLOCK-----") {
		body, _, ok := strings.Cut(block, "-----END PGP")
		if !ok {
			continue
		}
		_, body, _ = strings.Cut(strings.ReplaceAll(body, "\r", ""), "\n\n") // after the headers
		var base strings.Builder
		for line := range strings.Lines(body) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "=") { // the checksum
				base.WriteString(line)
			}
		}
		packet, err := base64.StdEncoding.DecodeString(base.String())
		if err != nil {
			return nil, fmt.Errorf("decode an armoured key: %w", err)
		}
		keys = append(keys, packet...)
	}
	return keys, nil
}
