package admin

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mccd/mccd/cluster/state"
	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

func tokenToProto(t state.Token) *adminv1.Token {
	return &adminv1.Token{
		Id: t.ID, Note: t.Note, Created: stamp(t.CreatedUnix), Expires: stamp(t.ExpiresUnix),
		Uses: t.Uses, Revoked: t.Revoked, Admitted: int64(len(t.Joined)),
	}
}

func tokenFromProto(p *adminv1.Token) Token {
	t := Token{ID: p.GetId(), Note: p.GetNote(), Uses: p.GetUses(), Revoked: p.GetRevoked(), Admitted: p.GetAdmitted()}
	if c := p.GetCreated(); c.IsValid() {
		t.Created = c.AsTime()
	}
	if e := p.GetExpires(); e.IsValid() {
		t.Expires = e.AsTime()
	}
	return t
}

// stamp returns nil for 0, which is never.
func stamp(unix int64) *timestamppb.Timestamp {
	if unix == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(unix, 0))
}

func settingsToProto(s state.NodeSettings) *adminv1.NodeSettings {
	p := &adminv1.NodeSettings{Name: s.Name, Zone: s.Zone}
	if s.Weight != nil {
		p.Weight = new(int32(*s.Weight))
	}
	return p
}

func settingsFromProto(p *adminv1.NodeSettings) state.NodeSettings {
	if p == nil {
		return state.NodeSettings{}
	}
	s := state.NodeSettings{Name: p.Name, Zone: p.Zone}
	if p.Weight != nil {
		s.Weight = new(int(*p.Weight))
	}
	return s
}

func configToProto(c state.Config) *adminv1.Config {
	p := &adminv1.Config{Revision: c.Revision, Limits: &adminv1.Limits{
		WanBytesPerSecond: c.Limits.WANBytesPerSecond, RequestsPerOrigin: c.Limits.RequestsPerOrigin,
	}}
	for _, o := range c.Origins {
		p.Origins = append(p.Origins, &adminv1.OriginRule{Name: o.Name, Hosts: o.Hosts, Yaml: o.YAML})
	}
	return p
}

func configFromProto(p *adminv1.Config) state.Config {
	c := state.Config{Revision: p.GetRevision(), Limits: state.Limits{
		WANBytesPerSecond: p.GetLimits().GetWanBytesPerSecond(), RequestsPerOrigin: p.GetLimits().GetRequestsPerOrigin(),
	}}
	for _, o := range p.GetOrigins() {
		c.Origins = append(c.Origins, state.Origin{Name: o.GetName(), Hosts: o.GetHosts(), YAML: o.GetYaml()})
	}
	return c
}

func reportToProto(r state.RecoverReport) *adminv1.RecoverResponse {
	return &adminv1.RecoverResponse{
		Survivor: r.Survivor, Generation: r.Generation, Applied: r.Applied, LastIndex: r.LastIndex,
		Uncommitted: int64(r.Uncommitted), LostVoters: r.LostVoters, Text: r.Text,
	}
}

func reportFromProto(p *adminv1.RecoverResponse) state.RecoverReport {
	return state.RecoverReport{
		Survivor: p.GetSurvivor(), Generation: p.GetGeneration(), Applied: p.GetApplied(), LastIndex: p.GetLastIndex(),
		Uncommitted: int(p.GetUncommitted()), LostVoters: p.GetLostVoters(), Text: p.GetText(),
	}
}
