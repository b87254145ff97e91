package state

import (
	"fmt"

	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// commandTo puts c into p.
func commandTo(c Command, p *clusterv1.Command) error {
	switch c := c.(type) {
	case Init:
		p.Command = &clusterv1.Command_Init{Init: &clusterv1.InitCommand{
			ClusterId: c.ClusterID, Node: nodeTo(c.Node), Trust: trustTo(c.Trust), Gossip: keyringTo(c.Gossip), SealingKeyId: c.SealingKeyID,
			Tokens: each(c.Tokens, tokenTo), RingFormat: c.RingFormat, Version: versionTo(c.Version), WeightUnit: c.WeightUnit,
		}}
	case CreateToken:
		p.Command = &clusterv1.Command_CreateToken{CreateToken: &clusterv1.CreateTokenCommand{Token: tokenTo(c.Token), TtlSeconds: c.TTLSeconds}}
	case RevokeToken:
		p.Command = &clusterv1.Command_RevokeToken{RevokeToken: &clusterv1.RevokeTokenCommand{Id: c.ID}}
	case Admit:
		p.Command = &clusterv1.Command_Admit{Admit: &clusterv1.AdmitCommand{TokenHash: c.TokenHash, Node: nodeTo(c.Node), Replaces: c.Replaces}}
	case Activate:
		p.Command = &clusterv1.Command_Activate{Activate: &clusterv1.ActivateCommand{Id: c.ID}}
	case Certify:
		p.Command = &clusterv1.Command_Certify{Certify: &clusterv1.CertifyCommand{Id: c.ID, Serial: c.Serial, NotAfterUnix: c.NotAfterUnix}}
	case SetNodeState:
		p.Command = &clusterv1.Command_SetNodeState{SetNodeState: &clusterv1.SetNodeStateCommand{Id: c.ID, State: clusterv1.NodeState(c.State)}}
	case SetNode:
		set := &clusterv1.SetNodeCommand{Id: c.ID, Name: c.Name, Zone: c.Zone}
		if c.Weight != nil {
			weight := int32(*c.Weight)
			set.Weight = &weight
		}
		p.Command = &clusterv1.Command_SetNode{SetNode: set}
	case Locate:
		p.Command = &clusterv1.Command_Locate{Locate: &clusterv1.LocateCommand{Id: c.ID, PeerAddr: c.PeerAddr, GossipAddr: c.GossipAddr}}
	case PreCreate:
		p.Command = &clusterv1.Command_PreCreate{PreCreate: &clusterv1.PreCreateCommand{Node: nodeTo(c.Node)}}
	case RemoveNode:
		p.Command = &clusterv1.Command_RemoveNode{RemoveNode: &clusterv1.RemoveNodeCommand{Id: c.ID, Removed: c.Removed}}
	case SetConfig:
		p.Command = &clusterv1.Command_SetConfig{SetConfig: &clusterv1.SetConfigCommand{Expect: c.Expect, Config: configTo(c.Config)}}
	case SetVersion:
		p.Command = &clusterv1.Command_SetVersion{SetVersion: &clusterv1.SetVersionCommand{Version: versionTo(c.Version)}}
	case SetTrust:
		p.Command = &clusterv1.Command_SetTrust{SetTrust: &clusterv1.SetTrustCommand{Expect: c.Expect, Trust: trustTo(c.Trust)}}
	case SetKeyring:
		p.Command = &clusterv1.Command_SetKeyring{SetKeyring: &clusterv1.SetKeyringCommand{Expect: c.Expect, Keyring: keyringTo(c.Keyring)}}
	case Reseal:
		p.Command = &clusterv1.Command_Reseal{Reseal: resealTo(c)}
	case Expel:
		p.Command = &clusterv1.Command_Expel{Expel: &clusterv1.ExpelCommand{Id: c.ID, Ca: c.CA, Reseal: resealTo(c.Reseal)}}
	case SetTLSKey:
		p.Command = &clusterv1.Command_SetTlsKey{SetTlsKey: &clusterv1.SetTLSKeyCommand{Key: tlsKeyTo(c.Key)}}
	case Purge:
		p.Command = &clusterv1.Command_Purge{Purge: &clusterv1.PurgeCommand{Mark: markTo(c.Mark)}}
	case AckPurges:
		p.Command = &clusterv1.Command_AckPurges{AckPurges: &clusterv1.AckPurgesCommand{Id: c.ID, Index: c.Index}}
	case SetPin:
		p.Command = &clusterv1.Command_SetPin{SetPin: &clusterv1.SetPinCommand{Pin: pinTo(c.Pin), Remove: c.Remove}}
	case SetJob:
		p.Command = &clusterv1.Command_SetJob{SetJob: &clusterv1.SetJobCommand{Job: jobTo(c.Job)}}
	default:
		return fmt.Errorf("%w command: %T", ErrInvalid, c)
	}
	return nil
}

// commandFrom takes the command out of p. A kind that this release does not
// know is an unknown field, found before; one without a kind is damaged.
func commandFrom(p *clusterv1.Command) (Command, error) {
	switch c := p.GetCommand().(type) {
	case *clusterv1.Command_Init:
		v := c.Init
		return Init{
			ClusterID: v.GetClusterId(), Node: nodeFrom(v.GetNode()), Trust: trustFrom(v.GetTrust()), Gossip: keyringFrom(v.GetGossip()), SealingKeyID: v.GetSealingKeyId(),
			Tokens: each(v.GetTokens(), tokenFrom), RingFormat: v.GetRingFormat(), Version: versionFrom(v.GetVersion()), WeightUnit: v.GetWeightUnit(),
		}, nil
	case *clusterv1.Command_CreateToken:
		return CreateToken{Token: tokenFrom(c.CreateToken.GetToken()), TTLSeconds: c.CreateToken.GetTtlSeconds()}, nil
	case *clusterv1.Command_RevokeToken:
		return RevokeToken{ID: c.RevokeToken.GetId()}, nil
	case *clusterv1.Command_Admit:
		return Admit{TokenHash: c.Admit.GetTokenHash(), Node: nodeFrom(c.Admit.GetNode()), Replaces: c.Admit.GetReplaces()}, nil
	case *clusterv1.Command_Activate:
		return Activate{ID: c.Activate.GetId()}, nil
	case *clusterv1.Command_Certify:
		return Certify{ID: c.Certify.GetId(), Serial: c.Certify.GetSerial(), NotAfterUnix: c.Certify.GetNotAfterUnix()}, nil
	case *clusterv1.Command_SetNodeState:
		return SetNodeState{ID: c.SetNodeState.GetId(), State: NodeState(c.SetNodeState.GetState())}, nil
	case *clusterv1.Command_SetNode:
		set := SetNode{ID: c.SetNode.GetId(), Name: c.SetNode.Name, Zone: c.SetNode.Zone}
		if c.SetNode.Weight != nil {
			weight := int(c.SetNode.GetWeight())
			set.Weight = &weight
		}
		return set, nil
	case *clusterv1.Command_Locate:
		return Locate{ID: c.Locate.GetId(), PeerAddr: c.Locate.GetPeerAddr(), GossipAddr: c.Locate.GetGossipAddr()}, nil
	case *clusterv1.Command_PreCreate:
		return PreCreate{Node: nodeFrom(c.PreCreate.GetNode())}, nil
	case *clusterv1.Command_RemoveNode:
		return RemoveNode{ID: c.RemoveNode.GetId(), Removed: c.RemoveNode.GetRemoved()}, nil
	case *clusterv1.Command_SetConfig:
		return SetConfig{Expect: c.SetConfig.GetExpect(), Config: configFrom(c.SetConfig.GetConfig())}, nil
	case *clusterv1.Command_SetVersion:
		return SetVersion{Version: versionFrom(c.SetVersion.GetVersion())}, nil
	case *clusterv1.Command_SetTrust:
		return SetTrust{Expect: c.SetTrust.GetExpect(), Trust: trustFrom(c.SetTrust.GetTrust())}, nil
	case *clusterv1.Command_SetKeyring:
		return SetKeyring{Expect: c.SetKeyring.GetExpect(), Keyring: keyringFrom(c.SetKeyring.GetKeyring())}, nil
	case *clusterv1.Command_Reseal:
		return resealFrom(c.Reseal), nil
	case *clusterv1.Command_Expel:
		return Expel{ID: c.Expel.GetId(), CA: c.Expel.GetCa(), Reseal: resealFrom(c.Expel.GetReseal())}, nil
	case *clusterv1.Command_SetTlsKey:
		return SetTLSKey{Key: tlsKeyFrom(c.SetTlsKey.GetKey())}, nil
	case *clusterv1.Command_Purge:
		return Purge{Mark: markFrom(c.Purge.GetMark())}, nil
	case *clusterv1.Command_AckPurges:
		return AckPurges{ID: c.AckPurges.GetId(), Index: c.AckPurges.GetIndex()}, nil
	case *clusterv1.Command_SetPin:
		return SetPin{Pin: pinFrom(c.SetPin.GetPin()), Remove: c.SetPin.GetRemove()}, nil
	case *clusterv1.Command_SetJob:
		return SetJob{Job: jobFrom(c.SetJob.GetJob())}, nil
	default:
		return nil, fmt.Errorf("%w command: it has no kind", ErrInvalid)
	}
}

func resealTo(c Reseal) *clusterv1.ResealCommand {
	return &clusterv1.ResealCommand{
		Expect: c.Expect, SealingKeyId: c.SealingKeyID, Trust: trustTo(c.Trust), Gossip: keyringTo(c.Gossip), TlsKeys: each(c.TLSKeys, tlsKeyTo),
	}
}

func resealFrom(p *clusterv1.ResealCommand) Reseal {
	return Reseal{
		Expect: p.GetExpect(), SealingKeyID: p.GetSealingKeyId(), Trust: trustFrom(p.GetTrust()), Gossip: keyringFrom(p.GetGossip()), TLSKeys: each(p.GetTlsKeys(), tlsKeyFrom),
	}
}
