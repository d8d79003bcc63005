import Access
import Foundation
import SwiftASN1
import Testing
@_spi(FixedExpiryValidationTime) import X509

/// The certificate authority: what it signs, and what it does not overwrite.
@Suite struct AuthorityTests {
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func withDirectory(_ body: (URL) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "beamline-ca-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        try await body(directory)
    }

    private func certificate(_ file: URL) throws -> Certificate {
        try Certificate(pemEncoded: String(contentsOf: file, encoding: .utf8))
    }

    private func policies(at time: Date) -> some VerifierPolicy { RFC5280Policy(fixedExpiryValidationTime: time) }

    private func isTrusted(_ leaf: Certificate, by root: Certificate, at time: Date) async -> Bool {
        var verifier = Verifier(rootCertificates: CertificateStore([root])) { self.policies(at: time) }
        switch await verifier.validate(leaf: leaf, intermediates: CertificateStore([])) {
        case .validCertificate: return true
        case .couldNotValidate: return false
        }
    }

    @Test func aCertificateIsTrustedByItsAuthorityAlone() async throws {
        try await withDirectory { directory in
            let authority = Authority(directory.appending(path: "ours"))
            try authority.create(name: "ours", days: 10, now: Self.now)
            let other = Authority(directory.appending(path: "other"))
            try other.create(name: "other", days: 10, now: Self.now)
            let issued = try authority.issue(
                name: "coordinator", hosts: ["host.example", "127.0.0.1"], days: 5, now: Self.now)
            let leaf = try certificate(issued.chain)
            let (ours, theirs) = (try certificate(authority.certificate), try certificate(other.certificate))
            #expect(await isTrusted(leaf, by: ours, at: Self.now))
            #expect(!(await isTrusted(leaf, by: theirs, at: Self.now)))
            let names = try #require(try leaf.extensions.subjectAlternativeNames)
            #expect(
                Array(names) == [
                    .dnsName("host.example"), .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
                ])
        }
    }

    @Test func aCertificateEndsWithItsDaysAndWithItsAuthority() async throws {
        try await withDirectory { directory in
            let authority = Authority(directory)
            try authority.create(name: "ours", days: 10, now: Self.now)
            let root = try certificate(authority.certificate)
            let short = try certificate(authority.issue(name: "a", hosts: ["a"], days: 5, now: Self.now).chain)
            let long = try certificate(authority.issue(name: "b", hosts: ["b"], days: 500, now: Self.now).chain)
            #expect(long.notValidAfter == root.notValidAfter)
            let day = 86_400.0
            #expect(await isTrusted(short, by: root, at: Self.now.addingTimeInterval(5 * day - 60)))
            #expect(!(await isTrusted(short, by: root, at: Self.now.addingTimeInterval(5 * day + 60))))
            #expect(!(await isTrusted(long, by: root, at: Self.now.addingTimeInterval(10 * day + 60))))
        }
    }

    @Test func aServersCertificateSignsNoOther() async throws {
        try await withDirectory { directory in
            let authority = Authority(directory)
            try authority.create(name: "ours", days: 10, now: Self.now)
            let leaf = try certificate(authority.issue(name: "a", hosts: ["a"], days: 5, now: Self.now).chain)
            #expect(try leaf.extensions.basicConstraints == .notCertificateAuthority)
            #expect(try leaf.extensions.extendedKeyUsage.map(Array.init) == [.serverAuth])
        }
    }

    @Test func anAuthorityIsNotOverwritten() async throws {
        try await withDirectory { directory in
            let authority = Authority(directory)
            try authority.create(name: "ours", days: 10, now: Self.now)
            let before = try Data(contentsOf: authority.certificate)
            #expect(throws: Authority.Failure.self) { try authority.create(name: "again", days: 10, now: Self.now) }
            #expect(try Data(contentsOf: authority.certificate) == before)
        }
    }

    @Test func withoutAnAuthorityNothingIsIssued() async throws {
        try await withDirectory { directory in
            let error = #expect(throws: Authority.Failure.self) {
                try Authority(directory).issue(name: "a", hosts: ["a"], days: 1, now: Self.now)
            }
            #expect(error?.description.contains("beamline ca init") == true)
        }
    }

    @Test func secretsAreForTheOwnerAlone() async throws {
        try await withDirectory { directory in
            let authority = Authority(directory)
            try authority.create(name: "ours", days: 10, now: Self.now)
            let issued = try authority.issue(name: "a", hosts: ["a"], days: 5, now: Self.now)
            for file in [issued.key, directory.appending(path: "ca-key.pem")] {
                let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
                #expect(mode == 0o600, "\(file.lastPathComponent)")
            }
        }
    }
}
