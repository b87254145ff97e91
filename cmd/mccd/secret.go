package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
)

// maxSecret bounds a file that holds a token or a passphrase, in bytes.
const maxSecret = 4 << 10

// readSecret returns the one line that the file name holds, "-" being the
// standard input. Its errors never repeat what was read.
func readSecret(cmd *cobra.Command, what, name string) (string, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(filepath.Clean(name))
		if err != nil {
			return "", fmt.Errorf("open the file of the %s: %w", what, err)
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil && runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			return "", fmt.Errorf("%s may be read by other users: run chmod 600 %s", name, name)
		}
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSecret+1))
	text = bytes.TrimSpace(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("read the %s: %w", what, err)
	case len(text) == 0:
		return "", fmt.Errorf("%s holds no %s", shown(name), what)
	case len(text) > maxSecret || bytes.ContainsAny(text, "\r\n"):
		return "", fmt.Errorf("%s holds more than one %s; it must be one line", shown(name), what)
	}
	return string(text), nil
}

func shown(name string) string {
	if name == "-" {
		return "the standard input"
	}
	return name
}

// passphraseFlag is the flag that names a file with the passphrase.
const passphraseFlag = "passphrase-file"

// minPassphrase is the shortest that seals a backup, in bytes.
const minPassphrase = 8

// passphrase returns that of a backup: from the flag's file, the environment,
// or the terminal, where a new one is asked for twice.
func passphrase(cmd *cobra.Command, file, env string, fresh bool) (string, error) {
	secret := env
	switch {
	case file != "":
		var err error
		if secret, err = readSecret(cmd, "passphrase", file); err != nil {
			return "", exit(exitFailure, err)
		}
	case env == "":
		var ok bool
		var err error
		if secret, ok, err = askSecret(cmd, "Passphrase of the backup: "); err != nil {
			return "", exit(exitFailure, err)
		}
		if !ok {
			return "", exit(exitUsage, errors.New("no passphrase: name its file by --passphrase-file, or set MCCD_PASSPHRASE"))
		}
		if fresh {
			again, _, err := askSecret(cmd, "Once more: ")
			if err != nil {
				return "", exit(exitFailure, err)
			}
			if again != secret {
				return "", exit(exitFailure, errors.New("the two are not the same; nothing was written"))
			}
		}
	}
	if secret == "" {
		return "", exit(exitUsage, errors.New("the passphrase is empty"))
	}
	if fresh && len(secret) < minPassphrase {
		return "", exit(exitUsage, fmt.Errorf("the passphrase has %d characters; it guards all secrets of the cluster, so use %d or more", len(secret), minPassphrase))
	}
	return secret, nil
}
