package e2e_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
	"time"
)

// debian is a repository of Debian packages in a folder, laid out as the
// mirrors have it.
type debian struct {
	*testing.T
	dir string
	// work holds what the packages are made from.
	work string
	// byHash offers the indices under their digests too, so that old ones stay
	// to be had while new ones come.
	byHash bool
	// gnupg is the folder of a throw-away key that signs; empty: unsigned.
	gnupg string
	// debs are the packages' files below pool, by name.
	debs map[string]string
}

const debianSuite = "dists/stable"

func newDebian(t *testing.T, byHash bool) *debian {
	t.Helper()
	d := &debian{T: t, dir: t.TempDir(), work: t.TempDir(), byHash: byHash, debs: map[string]string{}}
	gpg, err := exec.LookPath("gpg")
	if err == nil {
		_, err = exec.LookPath("gpg-agent")
	}
	if err != nil {
		t.Log("gpg or its agent is not installed: the repository is not signed")
		return d
	}
	// Not t.TempDir: the path of gpg-agent's socket must be short.
	if d.gnupg, err = os.MkdirTemp("", "mccd-key-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", d.gnupg, "--kill", "gpg-agent").Run()
		_ = os.RemoveAll(d.gnupg)
	})
	d.run(gpg, "--homedir", d.gnupg, "--batch", "--passphrase", "", "--quick-generate-key", "mccd test <test@mccd.example>", "ed25519", "sign", "never")
	d.run(gpg, "--homedir", d.gnupg, "--batch", "--output", d.key(), "--export")
	return d
}

func (d *debian) key() string { return filepath.Join(d.gnupg, "key.gpg") }

func (d *debian) run(argv ...string) []byte {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		d.Fatalf("%v: %v\n%s", argv, err, stderr.Bytes())
	}
	return out
}

// write puts a file into the repository as a mirror's sync does, by renaming,
// and as old as it says.
func (d *debian) write(name string, content []byte, modified time.Time) {
	d.Helper()
	file := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		d.Fatal(err)
	}
	if err := os.WriteFile(file+".new", content, 0o644); err != nil {
		d.Fatal(err)
	}
	if err := os.Chtimes(file+".new", modified, modified); err != nil {
		d.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		d.Fatal(err)
	}
}

// add makes a package with size bytes that do not compress.
func (d *debian) add(name, version, depends string, size int, modified time.Time) {
	d.Helper()
	root := filepath.Join(d.work, name)
	content := make([]byte, size)
	seed := rand.New(rand.NewPCG(uint64(size), uint64(len(version))))
	for i := range content {
		content[i] = byte(seed.Uint32())
	}
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: test <test@mccd.example>\nDescription: of a test\n", name, version)
	if depends != "" {
		control += "Depends: " + depends + "\n"
	}
	for file, text := range map[string][]byte{"DEBIAN/control": []byte(control), "usr/share/" + name: content} {
		file = filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			d.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			d.Fatal(err)
		}
	}
	deb := filepath.Join(d.work, "made.deb")
	d.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", root, deb)
	made, err := os.ReadFile(deb)
	if err != nil {
		d.Fatal(err)
	}
	d.debs[name] = path.Join("pool", name[:1], name+"_"+version+"_all.deb")
	d.write(d.debs[name], made, modified)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// publish writes the indices of all packages, the Release last.
func (d *debian) publish(modified time.Time) {
	d.Helper()
	var packages bytes.Buffer
	for _, file := range d.debs {
		deb, err := os.ReadFile(filepath.Join(d.dir, file))
		if err != nil {
			d.Fatal(err)
		}
		packages.Write(d.run("dpkg-deb", "-f", filepath.Join(d.dir, file)))
		fmt.Fprintf(&packages, "Filename: %s\nSize: %d\nSHA256: %s\n\n", file, len(deb), digest(deb))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(packages.Bytes())
	_ = z.Close()

	release := fmt.Sprintf("Origin: mccd test\nSuite: stable\nCodename: stable\nArchitectures: all amd64\nComponents: main\nDate: %s\n",
		modified.UTC().Format(time.RFC1123))
	if d.byHash {
		release += "Acquire-By-Hash: yes\n"
	}
	release += "SHA256:\n"
	for _, arch := range []string{"amd64", "all"} {
		in := "main/binary-" + arch
		for name, content := range map[string][]byte{in + "/Packages": packages.Bytes(), in + "/Packages.gz": packed.Bytes()} {
			release += fmt.Sprintf(" %s %d %s\n", digest(content), len(content), name)
			if d.byHash {
				d.write(path.Join(debianSuite, in, "by-hash/SHA256", digest(content)), content, modified)
			}
			d.write(path.Join(debianSuite, name), content, modified)
		}
	}
	d.write(debianSuite+"/Release", []byte(release), modified)
	if d.gnupg == "" {
		return
	}
	signed := filepath.Join(d.work, "InRelease")
	_ = os.Remove(signed)
	d.run("gpg", "--homedir", d.gnupg, "--batch", "--output", signed, "--clearsign", filepath.Join(d.dir, debianSuite, "Release"))
	content, err := os.ReadFile(signed)
	if err != nil {
		d.Fatal(err)
	}
	d.write(debianSuite+"/InRelease", content, modified)
}

// begin publishes the first packages.
func (d *debian) begin(modified time.Time) {
	d.Helper()
	d.add("mccd-one", "1.0", "", 3000, modified)
	d.add("mccd-two", "1.0", "mccd-one", 90_000, modified)
	d.add("mccd-big", "1.0", "", 9*mib+99, modified)
	d.publish(modified)
}
