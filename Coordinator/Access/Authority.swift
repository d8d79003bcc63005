import Crypto
package import Foundation
import SwiftASN1
import X509

/// A certificate authority of the cluster's own: one file that everybody is to trust, and certificates for coordinators
/// that it vouches for.
package struct Authority: Sendable {
    private let directory: URL
    /// The file that workers and clients are given.
    package var certificate: URL { directory.appending(path: "ca.pem") }
    private var key: URL { directory.appending(path: "ca-key.pem") }

    package init(_ directory: URL) { self.directory = directory }

    /// Why a certificate cannot be made; the values are paths.
    package enum Failure: Error, CustomStringConvertible {
        case exists(String)
        case missing(String)

        package var description: String {
            switch self {
            case .exists(let path):
                """
                \(path) exists already: an authority that is replaced makes all its certificates worthless; \
                remove it first if that is meant
                """
            case .missing(let path): "there is no authority in \(path); make one with 'beamline ca init'"
            }
        }
    }

    /// Makes a new authority.
    /// - Parameter days: how long it is good for.
    package func create(name: String, days: Int, now: Date = Date()) throws {
        guard !FileManager.default.fileExists(atPath: key.path) else { throw Failure.exists(key.path) }
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let secret = P256.Signing.PrivateKey()
        let subject = try DistinguishedName { CommonName(name) }
        let certificate = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(secret.publicKey),
            notValidBefore: now.addingTimeInterval(-3600),
            notValidAfter: now.addingTimeInterval(Double(days) * 86_400), issuer: subject, subject: subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try .init {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
            }, issuerPrivateKey: .init(secret))
        try Self.write(secret.pemRepresentation, key, mode: 0o600)
        try Self.write(try certificate.serializeAsPEM().pemString, self.certificate, mode: 0o644)
    }

    /// Makes a server's certificate and key, `NAME.pem` and `NAME-key.pem`.
    /// - Parameter hosts: the names and addresses by which it is reached.
    package func issue(name: String, hosts: [String], days: Int, now: Date = Date()) throws -> (chain: URL, key: URL) {
        guard let pem = try? String(contentsOf: key, encoding: .utf8),
            let text = try? String(contentsOf: certificate, encoding: .utf8)
        else { throw Failure.missing(directory.path) }
        let authority = try Certificate(pemEncoded: text)
        let secret = P256.Signing.PrivateKey()
        let names = hosts.map { host in
            Self.address(host).map { .ipAddress(ASN1OctetString(contentBytes: $0[...])) } ?? GeneralName.dnsName(host)
        }
        let issued = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(secret.publicKey),
            notValidBefore: now.addingTimeInterval(-3600),
            notValidAfter: min(now.addingTimeInterval(Double(days) * 86_400), authority.notValidAfter),
            issuer: authority.subject,
            subject: try DistinguishedName { CommonName(hosts.first ?? name) }, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try .init {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames(names)
            }, issuerPrivateKey: .init(pemEncoded: pem))
        let chainFile = directory.appending(path: name + ".pem")
        let keyFile = directory.appending(path: name + "-key.pem")
        try Self.write(secret.pemRepresentation, keyFile, mode: 0o600)
        try Self.write(try issued.serializeAsPEM().pemString, chainFile, mode: 0o644)
        return (chainFile, keyFile)
    }

    /// The bytes of an IPv4 or IPv6 address; nil for a name.
    private static func address(_ host: String) -> [UInt8]? {
        var (four, six) = (in_addr(), in6_addr())
        if inet_pton(AF_INET, host, &four) == 1 { return withUnsafeBytes(of: four) { [UInt8]($0) } }
        if inet_pton(AF_INET6, host, &six) == 1 { return withUnsafeBytes(of: six) { [UInt8]($0) } }
        return nil
    }

    /// The secret is never readable by others, not even for a moment.
    private static func write(_ text: String, _ file: URL, mode: Int) throws {
        let new = file.path + ".new"
        try? FileManager.default.removeItem(atPath: new)
        guard
            FileManager.default.createFile(
                atPath: new, contents: Data((text.hasSuffix("\n") ? text : text + "\n").utf8),
                attributes: [.posixPermissions: mode])
        else {
            throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: new])
        }
        guard rename(new, file.path) == 0 else {
            throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: file.path])
        }
    }
}
