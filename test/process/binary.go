package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// BinEnv names the environment variable that gives a program built already.
const BinEnv = "MCCD_BIN"

// Build returns the path of the mccd program: the one that MCCD_BIN names, or
// one built into dir from the module that the working directory belongs to.
func Build(ctx context.Context, dir string) (string, error) {
	if path := os.Getenv(BinEnv); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", BinEnv, err)
		}
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, "mccd")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/mccd/mccd/cmd/mccd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mccd: %w\n%s", err, out)
	}
	return path, nil
}
