package config

// docs holds the text of each key, by path. The first sentence stands alone in
// help texts. A test keeps it complete.
func docs() map[string]string {
	return map[string]string{
		"name":              "What people call this node. Default: the host's name.",
		"zone":              "Where the node stands (a rack, a floor, a site); the nodes that act for one that failed are taken from other zones first.",
		"data_dir":          "Directory of the node's id, its known peers and, unless drives says otherwise, its cache. Default: /var/lib/mccd where it is writable, else ~/.local/state/mccd.",
		"listen":            "Address and port at which clients ask. Not given and port 80 not to be had: :8080, and the log says so.",
		"ops_listen":        "Address and port of the operators' HTTP: /metrics, /healthz, /readyz. Empty: none.",
		"peer_listen":       "Address and port at which other nodes ask for bytes. Loopback only in this release: traffic between nodes is not encrypted yet.",
		"peer_advertise":    "Address and port that other nodes dial for bytes. Default: the bound one.",
		"gossip_listen":     "Address and port at which nodes tell each other who is alive. Loopback only in this release.",
		"gossip_advertise":  "Address and port that other nodes dial for gossip. Default: the bound one.",
		"admin_socket":      "Unix socket for `mccd status` and `mccd join`. Default: mccd.sock in the service manager's runtime directory, else in data_dir.",
		"drives":            "Directories that hold content, each with its limit: a list of {path, size}. Default: cache in data_dir, half of the free space there at the first start, at most 100GiB.",
		"join":              "Gossip addresses of nodes to join at the start; any one of them that answers is enough.",
		"builtin_catalogue": "Serve the built-in origins (Windows Update, Office, Intune, Teams, Xbox and others; docs/clients.md section 7).",
		"origins":           "More origins to serve, each with its rules; a whole name wins over *.x, a longer x over a shorter one, and on equal terms these over the built-in ones.",

		"limits.max_connections":     "Client connections at one time; more get a quick 503. 0: from the limit on open files.",
		"limits.memory":              "Memory for content that no drive can take (full, read-only or failed).",
		"limits.requests_per_origin": "Requests at one origin at one time.",
		"limits.fills_per_peer":      "Requests that this node serves to one peer at one time.",
		"limits.flights":             "Fills in progress at one time.",
		"limits.read_ahead":          "How far ahead of a client a whole-file download is fetched at most.",
		"limits.free_space":          "Space on each drive's file system that stays free. 0: the larger of 1GiB and 2 %.",

		"timeouts.connect":           "To reach an origin.",
		"timeouts.first_byte":        "For an origin's answer to begin.",
		"timeouts.stall":             "Without a byte from an origin in the middle of an answer.",
		"timeouts.client_first_byte": "For a client's next byte; then it gets 503 or a close. At most 15s: clients give a cache up at 20s (docs/clients.md section 5).",
		"timeouts.peer_silence":      "Without a byte from a peer; then the next node is asked.",
		"timeouts.peer_heartbeat":    "Between signs of life of a peer that is still waiting for bytes. At most half of peer_silence.",
		"timeouts.breaker_open":      "For which a peer that was heard counts as living whatever gossip says; a silent one is asked again at most four times as often.",
		"timeouts.shutdown_grace":    "For downloads in progress to end at a stop; then they are cut.",
		"timeouts.gossip_probe":      "Between probes of another node by gossip.",

		"log.level":  "Least level that is logged: debug, info, warn or error.",
		"log.format": "text or json. Logs go to standard error.",
		"access_log": "File that gets one JSON line per response; - is standard output. Empty: none.",

		"origins[].name":                 "The rule's name, in metrics and logs; unique. Default: the first host.",
		"origins[].product":              "What reports call the content. Default: the name.",
		"origins[].hosts":                "Host names served: exact, or *.name, which also matches name itself. At least one.",
		"origins[].profile":              "do: for Delivery Optimization clients, never a status that makes them avoid the cache. http: HTTP caching by RFC 9110 and 9111.",
		"origins[].connect":              "host:port to dial in place of the origin's own address; its name stays in Host and TLS.",
		"origins[].allow_private":        "Allow private, loopback and link-local addresses.",
		"origins[].ports":                "Origin ports that may be asked for. Default: 80 and 443.",
		"origins[].key_host":             "One name under which all hosts of this rule share their content.",
		"origins[].query_in_key":         "The query is part of what names an object. Default: false for do, true for http.",
		"origins[].join_schemes":         "http and https name the same object.",
		"origins[].last_modified_length": "Versions are told by Last-Modified and length, for CDNs whose servers disagree on ETag. Default: true for do, false for http.",
		"origins[].immutable_prefixes":   "Path prefixes whose objects never change. Default for do: /filestreamingservice/files/.",
		"origins[].always_revalidate":    "File names (with * and ?) that are never served without asking the origin. Default for do: the certificate trust lists.",
		"origins[].pass_not_found":       "File names (with * and ?) for which do passes on the origin's 404. Default for do: pieceshash.",
		"origins[].fresh_for":            "For how long an answer without any freshness information is fresh. 0: a tenth of its age, at most a day.",
		"origins[].max_requests":         "Requests at this origin at one time. 0: limits.requests_per_origin.",
	}
}
