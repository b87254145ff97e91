package node

import (
	"slices"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
)

func TestProducts(t *testing.T) {
	c, err := catalogue.New(catalogue.Config{Builtin: true, Rules: []storage.Rule{
		{Name: "more", Product: "Xbox", Profile: storage.ProfileDO, Hosts: []string{"more.example.com"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := products{c}
	for _, name := range []string{"Xbox", "xbox", "more"} {
		product, hosts, err := p.Product(name)
		if err != nil || product != "Xbox" || !slices.Contains(hosts, "more.example.com") || !slices.Contains(hosts, "*.d1.xboxlive.com") ||
			slices.Contains(hosts, "*.cdn.office.net") {
			t.Errorf("%s: %q, %v, %v", name, product, hosts, err)
		}
	}
	if product, _, err := p.Product("windows-update"); err != nil || !strings.HasPrefix(product, "Windows Update") {
		t.Errorf("a rule's name: %q, %v", product, err)
	}
	if _, _, err := p.Product("xbx"); err == nil || strings.Count(err.Error(), "Xbox") != 1 {
		t.Errorf("no product: %v", err)
	}
}
