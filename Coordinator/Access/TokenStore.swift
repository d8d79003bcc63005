import Bytes
package import Foundation

/// What the holder of a token may do.
package enum Role: String, Codable, Sendable, CaseIterable {
    /// Join as a worker.
    case worker
    /// See jobs, workers, sites and their stories.
    case reader
    /// Submit jobs too, and pause, resume, cancel and retry them.
    case submitter
    /// All of the REST interface, the draining of workers included.
    case admin

    /// A person's role includes the lesser ones; a worker's token opens nothing to people.
    package func includes(_ other: Role) -> Bool {
        let people: [Role] = [.reader, .submitter, .admin]
        guard let mine = people.firstIndex(of: self), let wanted = people.firstIndex(of: other) else {
            return self == other
        }
        return mine >= wanted
    }
}

/// What is known of a token: all but its secret.
package struct AccessToken: Codable, Sendable, Equatable {
    package var id: String
    package var role: Role
    /// What the operator calls it.
    package var name: String
    package var created: Date
    package var expires: Date
    /// SHA-256 of the secret, hexadecimal.
    var secretDigest: String
}

/// The tokens of one coordinator: a file each, with the secret's digest and never the secret. A token is
/// `beamline_ID_SECRET`: the number names the file, so that creating and revoking one needs no running coordinator, and
/// shows at its next call.
package struct TokenStore: Sendable {
    private let directory: URL
    private static let prefix = "beamline"

    /// - Parameter state: the coordinator's state directory.
    package init(state: URL) { directory = state.appending(path: "tokens") }

    /// - Returns: the token, which is shown once and kept nowhere.
    /// - Throws: what the file system throws.
    package func create(_ role: Role, name: String, seconds: Double, now: Date = Date()) throws -> String {
        try FileManager.default.createDirectory(
            at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let id = Self.random(6)
        let secret = Self.random(32)
        let token = AccessToken(
            id: id, role: role, name: name, created: now, expires: now.addingTimeInterval(seconds),
            secretDigest: Digest.sha256(secret))
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        encoder.outputFormatting = [.sortedKeys]
        try encoder.encode(token).write(to: file(id), options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file(id).path)
        return "\(Self.prefix)_\(id)_\(secret)"
    }

    /// All tokens, those whose time is over too, the newest first.
    package func list() -> [AccessToken] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return names.filter { $0.hasSuffix(".json") }.compactMap { read(String($0.dropLast(5))) }.sorted {
            ($0.created, $0.id) > ($1.created, $1.id)
        }
    }

    /// - Returns: false where there is none of that number.
    package func revoke(_ id: String) -> Bool {
        Self.isNumber(id) && (try? FileManager.default.removeItem(at: file(id))) != nil
    }

    /// What a token is good for; nil where it is unknown, wrong, revoked or expired.
    package func check(_ text: String, now: Date = Date()) -> AccessToken? {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[0] == Self.prefix, let token = read(parts[1]), now < token.expires else {
            return nil
        }
        // In constant time, so that nobody learns how much of the secret was right.
        let difference = zip(Digest.sha256(parts[2]).utf8, token.secretDigest.utf8).reduce(0) { $0 | $1.0 ^ $1.1 }
        return difference == 0 ? token : nil
    }

    /// Whether a token that was checked before is still good: neither revoked nor expired. Cheap enough for every
    /// message of a session.
    package func isGood(_ token: AccessToken, now: Date = Date()) -> Bool {
        now < token.expires && FileManager.default.fileExists(atPath: file(token.id).path)
    }

    private func file(_ id: String) -> URL { directory.appending(path: id + ".json") }

    /// Numbers come from outside: no other character gets into a path.
    private static func isNumber(_ id: String) -> Bool {
        id.utf8.count == 12 && id.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    private func read(_ id: String) -> AccessToken? {
        guard Self.isNumber(id), let data = try? Data(contentsOf: file(id)) else { return nil }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        guard let token = try? decoder.decode(AccessToken.self, from: data), token.secretDigest.utf8.count == 64 else {
            return nil
        }
        return token
    }

    private static func random(_ bytes: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return hexadecimal((0..<bytes).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

}
