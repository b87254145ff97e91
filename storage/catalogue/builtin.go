package catalogue

import (
	"slices"
	"strings"

	"github.com/mccd/mccd/storage"
)

// row is one line of the table in docs/clients.md section 7. Names in braces
// stand for one host each.
type row struct {
	name, product string
	// https tells that clients are documented to use 443 too. Port 443 is
	// allowed in every row, since a client that comes by https is fetched for
	// by https.
	https bool
	hosts []string
}

// rows returns the built-in catalogue as documented in 2025-04.
func rows() []row {
	return []row{
		{"windows-update", "Windows Update, Defender, drivers, Store", false, []string{
			"*.b1.download.windowsupdate.com", "*.au.download.windowsupdate.com", "*.au.b1.download.windowsupdate.com",
			"*.download.windowsupdate.com", "*.dl.delivery.mp.microsoft.com", "*.tlu.dl.delivery.mp.microsoft.com",
			"*.ctldl.windowsupdate.com", "*.emdl.ws.microsoft.com",
		}},
		{"edge", "Edge", false, []string{"*.delivery.mp.microsoft.com"}},
		{"office", "Office", false, []string{
			"*.officecdn.microsoft.com", "*.officecdn.microsoft.com.edgesuite.net", "*.cdn.office.net",
			"fg.tscdn.m365.static.microsoft",
		}},
		{"intune", "Intune Win32", true, []string{
			"*.manage.microsoft.com", "*.swd{a,b,c,d}{01,02}.manage.microsoft.com",
			"*.swd{a,b,c,d}{01,02}-mscdn.manage.microsoft.com",
		}},
		{"teams", "Teams, Outlook", true, []string{
			"*.statics.teams.cdn.office.net", "sf.teams.static.microsoft", "installer.teams.static.microsoft",
			"*.res.cdn.office.net",
		}},
		{"xbox", "Xbox", false, []string{
			"*.{assets1,assets2,dlassets,dlassets2,d1,d2,xvcb1,xvcb2,xvcf1,xvcf2}.xboxlive.com",
			"*.xbl-dlassets-origin.xboxlive.com", "*.assets-origin.xboxlive.com", "xvc-origin.xboxlive.com",
			"*.assets.xbox.com",
		}},
		{"device-update", "Device Update", false, []string{
			"*.tlu.dl.adu.microsoft.com", "*.nlu.dl.adu.microsoft.com", "*.dl.adu.microsoft.com",
			"*.dcsfe.prod.adu.microsoft.com",
		}},
	}
}

// expand writes out the names in braces.
func expand(host string) []string {
	before, rest, ok := strings.Cut(host, "{")
	if !ok {
		return []string{host}
	}
	names, after, _ := strings.Cut(rest, "}")
	var out []string
	for name := range strings.SplitSeq(names, ",") {
		out = append(out, expand(before+name+after)...)
	}
	return out
}

func builtin() []storage.Rule {
	var rules []storage.Rule
	for _, row := range rows() {
		r := Defaults(storage.ProfileDO)
		r.Name, r.Product, r.Ports = row.name, row.product, []int{80, 443}
		for _, h := range row.hosts {
			r.Hosts = append(r.Hosts, expand(h)...)
		}
		rules = append(rules, r)
	}
	return rules
}

// Defaults returns the rule of a profile that says nothing of its own: for do,
// the facts that hold for all rows of the built-in catalogue; for http, the
// query is part of the key. The caller owns the result.
func Defaults(p storage.Profile) storage.Rule {
	if p == storage.ProfileHTTP {
		return storage.Rule{Profile: p, QueryInKey: true}
	}
	return storage.Rule{
		Profile:            p,
		LastModifiedLength: true,
		ImmutablePrefixes:  []string{"/filestreamingservice/files/"},
		AlwaysRevalidate:   []string{"authrootstl.cab", "pinrulesstl.cab", "disallowedcertstl.cab", "disallowedcert.sst"},
		PassNotFound:       []string{"pieceshash"},
	}
}

// complete fills in what a configured rule leaves open.
func complete(r storage.Rule) storage.Rule {
	d := Defaults(r.Profile)
	r.QueryInKey = r.QueryInKey || d.QueryInKey
	r.LastModifiedLength = r.LastModifiedLength || d.LastModifiedLength
	for _, list := range []struct{ have, want *[]string }{
		{&r.ImmutablePrefixes, &d.ImmutablePrefixes},
		{&r.AlwaysRevalidate, &d.AlwaysRevalidate},
		{&r.PassNotFound, &d.PassNotFound},
	} {
		if *list.have == nil {
			*list.have = slices.Clone(*list.want)
		}
	}
	return r
}
