package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/storage/catalogue"
)

// products tells the admin service of the catalogue's products.
type products struct{ catalogue *catalogue.Catalogue }

var _ admin.Products = products{}

// Product returns the product of that name, or of the rule of that name, and the
// hosts of all its rules.
func (p products) Product(name string) (product string, hosts []string, err error) {
	var known []string
	for _, r := range p.catalogue.Rules() {
		switch {
		case strings.EqualFold(r.Product, name):
			product = r.Product
		case product == "" && strings.EqualFold(r.Name, name):
			product = r.Product
		}
		known = append(known, fmt.Sprintf("%q", r.Product))
	}
	if product == "" {
		slices.Sort(known)
		return "", nil, fmt.Errorf("there is no product %.80q; there are: %s", name, strings.Join(slices.Compact(known), ", "))
	}
	for _, r := range p.catalogue.Rules() {
		if r.Product == product {
			hosts = append(hosts, r.Hosts...)
		}
	}
	return product, hosts, nil
}
