package lab

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// ImageName is the image that [Image] makes, as engines list it.
const ImageName = "localhost/lab:latest"

// Image writes a root file system as an archive of one image, in the format of docker
// save: a layer, a configuration, and a list of the two. The image's program sleeps, so
// that it can serve as a pod's sandbox.
func Image(rootfs, archive string) error {
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	layer := filepath.Join(dir, "layer.tar")
	if err := command("tar", "-C", rootfs, "-cf", layer, "."); err != nil {
		return err
	}
	data, err := os.ReadFile(layer)
	if err != nil {
		return err
	}
	config, err := imageConfig(sha256.Sum256(data))
	if err != nil {
		return err
	}
	list, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{ImageName}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	return writeArchive(archive, map[string][]byte{"manifest.json": list, "config.json": config, "layer.tar": data})
}

func imageConfig(layer [sha256.Size]byte) ([]byte, error) {
	return json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": runtime.GOOS,
		"config": map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"sleep", "86400"}, "StopSignal": "SIGKILL"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", layer)}},
	})
}

func writeArchive(path string, files map[string][]byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return firstError(w.Close(), f.Close())
}
