//go:build !linux

package e2e_test

import (
	"errors"
	"os"
)

func dropCache(*os.File) error { return errors.ErrUnsupported }
