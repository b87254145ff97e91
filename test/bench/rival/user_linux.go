package rival

import "os"

// Started by root, the servers stay root: the folders that they use are the
// benchmark's own, which their packages' users may not read.

func userRoot() string {
	if os.Geteuid() == 0 {
		return "user root;"
	}
	return ""
}

func varnishJail() []string {
	if os.Geteuid() == 0 {
		return []string{"-j", "none"}
	}
	return nil
}
