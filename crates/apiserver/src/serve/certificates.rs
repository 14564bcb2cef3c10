//! Certificates made at start: one authority, a server's and a client's, ECDSA because RSA keys take seconds.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// PEM and DER of what a server and its first client need.
pub(super) struct Certificates {
    pub(super) authority_pem: String,
    pub(super) authority: CertificateDer<'static>,
    pub(super) server: CertificateDer<'static>,
    pub(super) server_key: PrivateKeyDer<'static>,
    pub(super) client_pem: String,
    pub(super) client_key_pem: String,
}

fn named(name: &str, group: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params
}

/// Makes all of them for a server on this machine.
pub(super) fn make(addresses: &[std::net::IpAddr]) -> Result<Certificates, rcgen::Error> {
    let mut params = named("kubernetes-ca", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let server_key = KeyPair::generate()?;
    let mut params = named("kube-apiserver", None);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    ] {
        params.subject_alt_names.push(SanType::DnsName(name.try_into()?));
    }
    params
        .subject_alt_names
        .extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
    let server = params.signed_by(&server_key, &authority)?;

    let client_key = KeyPair::generate()?;
    let mut params = named("kubernetes-admin", Some("system:masters"));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = params.signed_by(&client_key, &authority)?;

    let key = PrivateKeyDer::try_from(server_key.serialize_der())
        .map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(Certificates {
        authority_pem: authority.pem(),
        authority: authority.der().clone(),
        server: server.der().clone(),
        server_key: key,
        client_pem: client.pem(),
        client_key_pem: client_key.serialize_pem(),
    })
}
