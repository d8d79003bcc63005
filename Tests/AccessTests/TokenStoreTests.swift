import Access
import Foundation
import Testing

/// Tokens: who gets in, and who does not.
@Suite struct TokenStoreTests {
    /// Whole seconds: the file keeps no fractions.
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func withStore(_ body: (TokenStore, URL) throws -> Void) throws {
        let state = FileManager.default.temporaryDirectory.appending(path: "beamline-access-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: state) }
        try body(TokenStore(state: state), state.appending(path: "tokens"))
    }

    private static func number(_ token: String) -> String { String(token.split(separator: "_")[1]) }

    @Test func aFreshTokenIsGoodForItsRole() throws {
        try withStore { store, _ in
            let token = try store.create(.submitter, name: "ada", seconds: 60, now: Self.now)
            let found = try #require(store.check(token, now: Self.now))
            #expect(found.role == .submitter && found.name == "ada" && found.id == Self.number(token))
            #expect(found.created == Self.now && found.expires == Self.now.addingTimeInterval(60))
        }
    }

    @Test func anExpiredTokenIsRejectedFromItsLastSecondOn() throws {
        try withStore { store, _ in
            let token = try store.create(.reader, name: "ada", seconds: 60, now: Self.now)
            #expect(store.check(token, now: Self.now.addingTimeInterval(59)) != nil)
            #expect(store.check(token, now: Self.now.addingTimeInterval(60)) == nil)
        }
    }

    @Test func aTokenThatWasGoodIsLookedAtAgain() throws {
        try withStore { store, _ in
            let token = try store.create(.worker, name: "w", seconds: 60, now: Self.now)
            let found = try #require(store.check(token, now: Self.now))
            #expect(store.isGood(found, now: Self.now.addingTimeInterval(59)))
            #expect(!store.isGood(found, now: Self.now.addingTimeInterval(60)), "it has expired")
            #expect(store.revoke(found.id))
            #expect(!store.isGood(found, now: Self.now), "it was revoked")
        }
    }

    @Test func aRevokedTokenIsRejectedAndTheOthersStay() throws {
        try withStore { store, _ in
            let first = try store.create(.reader, name: "first", seconds: 60, now: Self.now)
            let second = try store.create(.reader, name: "second", seconds: 60, now: Self.now)
            #expect(store.revoke(Self.number(first)))
            #expect(!store.revoke(Self.number(first)), "it is gone already")
            #expect(store.check(first, now: Self.now) == nil)
            #expect(store.check(second, now: Self.now)?.name == "second")
        }
    }

    @Test func anotherSecretIsRejected() throws {
        try withStore { store, _ in
            let token = try store.create(.admin, name: "ada", seconds: 60, now: Self.now)
            let other = try store.create(.admin, name: "eve", seconds: 60, now: Self.now)
            let last = token.last == "0" ? "1" : "0"
            #expect(store.check(token.dropLast() + last, now: Self.now) == nil)
            #expect(store.check(String(token.dropLast()), now: Self.now) == nil)
            let secret = other.split(separator: "_")[2]
            #expect(store.check("beamline_\(Self.number(token))_\(secret)", now: Self.now) == nil)
            #expect(store.check("other" + token.dropFirst("beamline".count), now: Self.now) == nil)
            #expect(store.check("", now: Self.now) == nil)
        }
    }

    @Test func numbersCannotLeaveTheDirectory() throws {
        try withStore { store, tokens in
            let token = try store.create(.admin, name: "ada", seconds: 60, now: Self.now)
            let (number, secret) = (Self.number(token), token.split(separator: "_")[2])
            let outside = tokens.deletingLastPathComponent().appending(path: "\(number).json")
            try FileManager.default.moveItem(at: tokens.appending(path: "\(number).json"), to: outside)
            #expect(store.check("beamline_../\(number)_\(secret)", now: Self.now) == nil)
            #expect(!store.revoke("../\(number)"))
            #expect(FileManager.default.fileExists(atPath: outside.path))
        }
    }

    @Test func aDamagedFileOpensNothingAndHidesNoOther() throws {
        try withStore { store, tokens in
            let damaged = try store.create(.admin, name: "damaged", seconds: 60, now: Self.now)
            let whole = try store.create(.reader, name: "whole", seconds: 60, now: Self.now)
            let file = tokens.appending(path: Self.number(damaged) + ".json")
            let text = try String(contentsOf: file, encoding: .utf8)
            for broken in [
                "", "{", String(text.dropLast(1)), text.replacing("\"admin\"", with: "\"emperor\""),
                text.replacing(/"secretDigest":"[0-9a-f]+"/, with: "\"secretDigest\":\"\""),
            ] {
                #expect(broken != text)
                try broken.write(to: file, atomically: true, encoding: .utf8)
                #expect(store.check(damaged, now: Self.now) == nil, "\(broken)")
                #expect(store.list().map(\.name) == ["whole"], "\(broken)")
            }
            #expect(store.check(whole, now: Self.now) != nil)
        }
    }

    @Test func neitherTheSecretNorTheFileIsForOthers() throws {
        try withStore { store, tokens in
            let token = try store.create(.worker, name: "w", seconds: 60, now: Self.now)
            let file = tokens.appending(path: Self.number(token) + ".json")
            let text = try String(contentsOf: file, encoding: .utf8)
            #expect(!text.contains(token.split(separator: "_")[2]))
            let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func theNewestIsListedFirst() throws {
        try withStore { store, _ in
            _ = try store.create(.reader, name: "old", seconds: 1, now: Self.now)
            _ = try store.create(.reader, name: "new", seconds: 1, now: Self.now.addingTimeInterval(10))
            #expect(store.list().map(\.name) == ["new", "old"])
        }
    }

    @Test func rolesIncludeLesserOnesAndWorkersNobody() {
        let allowed: [(Role, [Role])] = [
            (.worker, [.worker]), (.reader, [.reader]), (.submitter, [.reader, .submitter]),
            (.admin, [.reader, .submitter, .admin]),
        ]
        #expect(allowed.count == Role.allCases.count)
        for (role, included) in allowed {
            #expect(Role.allCases.filter { role.includes($0) } == included, "\(role)")
        }
    }
}
