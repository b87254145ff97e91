package gateway

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/mccd/mccd/storage"
)

// errNoByte ends a wait that gave the client no byte within Config.FirstByte.
var errNoByte = errors.New("no byte for the client in time")

// refusal is an answer without content of an object.
type refusal struct {
	status int
	// text says what happened and what to do, without naming what was asked.
	text string
	// header holds an origin's headers that go on; nil: none.
	header http.Header
	// allow is the Allow header of a 405.
	allow string
	// nameless tells that the request named no origin of the catalogue, and its
	// Host was looked at for one.
	nameless bool
	// own tells that the node's own trouble is the reason.
	own bool
}

func refuse(status int, text string) *refusal { return &refusal{status: status, text: text} }

const tryAgain = " Trying again in a few seconds may help."

// refusalOf is the one table from the ends of a fill to a status. In ProfileDO
// everything that will pass is 503, an origin's own status is 502, and a 404
// goes on only where the rule lists the path: any other 4xx bans the cache for
// that origin for 15 minutes (docs/clients.md section 5).
func refusalOf(err error, rule *storage.Rule, path string) *refusal {
	http1 := rule.Profile == storage.ProfileHTTP
	pick := func(inHTTP int, text string) *refusal {
		if http1 {
			return refuse(inHTTP, text)
		}
		return refuse(http.StatusServiceUnavailable, text)
	}
	if origin, ok := errors.AsType[*storage.StatusError](err); ok {
		return refusalOfOrigin(origin, rule, path)
	}
	switch {
	case errors.Is(err, storage.ErrRange):
		return pick(http.StatusRequestedRangeNotSatisfiable, "The object has no byte of that range.")
	case errors.Is(err, storage.ErrBusy):
		return refuse(http.StatusServiceUnavailable, "This node has as much to do as it takes."+tryAgain)
	case errors.Is(err, storage.ErrVersionGone):
		return refuse(http.StatusServiceUnavailable, "The object is changing at its origin."+tryAgain)
	case errors.Is(err, storage.ErrLength):
		return pick(http.StatusBadGateway, "The origin does not tell the object's length. Fetch it from the origin itself.")
	case errors.Is(err, storage.ErrUncacheable):
		return pick(http.StatusBadGateway, "The origin forbids storing the object. Fetch it from the origin itself.")
	case errors.Is(err, errNoByte):
		return refuse(http.StatusServiceUnavailable, "No byte came in time from any source."+tryAgain)
	case errors.Is(err, storage.ErrUpstream) && timedOut(err):
		return pick(http.StatusGatewayTimeout, "The origin did not answer in time."+tryAgain)
	case errors.Is(err, storage.ErrUpstream):
		return pick(http.StatusBadGateway, "The origin gave no usable answer."+tryAgain)
	default:
		no := refuse(http.StatusServiceUnavailable, "This node has trouble of its own; its log tells more. Another node may serve you.")
		no.own = true
		return no
	}
}

func refusalOfOrigin(origin *storage.StatusError, rule *storage.Rule, path string) *refusal {
	text := "The origin answered " + http.StatusText(origin.Code) + "."
	switch {
	case origin.Code < 400 || origin.Code > 599:
		return refuse(http.StatusBadGateway, "The origin gave an answer that this cache does not pass on.")
	case rule.Profile == storage.ProfileHTTP:
		return &refusal{status: origin.Code, text: text, header: origin.Header}
	case origin.Code == http.StatusNotFound && rule.PassesNotFound(path):
		return refuse(http.StatusNotFound, text)
	default:
		return refuse(http.StatusBadGateway, text+" Ask the origin itself.")
	}
}

// refusalOfDecision is the answer where decide gave no content.
func refusalOfDecision(status int) *refusal {
	switch status {
	case http.StatusPreconditionFailed:
		return refuse(status, "The object is not the one that the request's condition names.")
	case http.StatusRequestedRangeNotSatisfiable:
		return refuse(status, "The object has no byte of that range, or too many ranges were asked.")
	default:
		return refuse(http.StatusServiceUnavailable, "This request's Range or condition cannot be met. Ask for one range within the object, or for all of it.")
	}
}

// refusalOfClient is the answer to who is not in Config.AllowClients. A client of
// profile do goes to the CDN either way; the 403 that is meant would keep it
// from every cache of that name for 15 minutes, wherever it is by then
// (docs/clients.md section 5).
func refusalOfClient(rule *storage.Rule) *refusal {
	status := http.StatusServiceUnavailable
	if rule.Profile == storage.ProfileHTTP {
		status = http.StatusForbidden
	}
	return refuse(status, "This cache does not serve clients at your address. Its operator may list the address in allow_clients.")
}

func timedOut(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}
