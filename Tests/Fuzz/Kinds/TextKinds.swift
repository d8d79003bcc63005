import Access
import ConfigurationFiles
import Foundation
import JobFile
import Storage
import Synchronization

extension Kind {
    private static func yaml(_ directory: String) -> [Seed] {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
            .filter { $0.hasSuffix(".yaml") }.sorted()
        return names.compactMap { name in
            FileManager.default.contents(atPath: directory + "/" + name).map {
                Seed(name, text: String(decoding: $0, as: UTF8.self))
            }
        }
    }

    /// Job files: those of the repository and a small one.
    static func job(_ repository: String) -> Kind {
        Kind(
            name: "job", weight: 10,
            seeds: yaml(repository + "/cluster-configs/local") + [
                Seed("small", text: "name: x\ntree: t\ndatasets:\n  - {name: a, label: 0, files: [/x/*.root]}\n")
            ],
            read: { bytes in
                let text = String(decoding: bytes, as: UTF8.self)
                return (try? JobFileParser.parse(text, baseDirectory: "/tmp")) == nil ? .rejected : .whole
            })
    }

    /// Sites files.
    static func sites(_ repository: String) -> Kind {
        Kind(
            name: "sites", weight: 6, seeds: yaml(repository + "/cluster-configs/sites"),
            read: { bytes in
                (try? SitesFile.parse(String(decoding: bytes, as: UTF8.self))) == nil ? .rejected : .whole
            })
    }

    /// Replica lists.
    static let metalink = Kind(
        name: "metalink", weight: 6,
        seeds: [
            Seed(
                "version 4",
                text: """
                    <?xml version="1.0" encoding="UTF-8"?>
                    <!DOCTYPE metalink [<!ENTITY site "root://a:1094/">]>
                    <metalink xmlns="urn:ietf:params:xml:ns:metalink">
                      <file name="x.root">
                        <size>4096</size>
                        <hash type="adler32">00000001</hash>
                        <url location="T2_A" priority="1">&site;/store/x.root</url>
                        <url location="T2_B" priority="2">https://b.example/store/x.root</url>
                      </file>
                    </metalink>
                    """),
            Seed(
                "version 3",
                text: """
                    <metalink version="3.0"><files><file name="y.root"><size>1</size><resources>
                    <url type="root" preference="90">root://c//store/y.root</url>
                    <url preference="10">root://d//store/y.root</url>
                    </resources></file></files></metalink>
                    """),
        ],
        read: { bytes in
            (try? Metalink.parse(String(decoding: bytes, as: UTF8.self), url: "root://a//x.meta4")) == nil
                ? .rejected : .whole
        })

    private static let tokenNumber = Atomic<Int>(0)

    /// Token files, found by the token that they belong to.
    static func token(_ directory: String) -> Kind {
        let state = URL(filePath: directory).appending(path: "fuzz-token-seed-\(getpid())")
        let token = (try? TokenStore(state: state).create(.submitter, name: "fuzz", seconds: 1e6)) ?? ""
        let name = String(token.split(separator: "_").dropFirst().first ?? "")
        let file = state.appending(path: "tokens/\(name).json")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? "{}"
        try? FileManager.default.removeItem(at: state)
        return Kind(
            name: "token", weight: 1, seeds: [Seed("submitter", text: text)],
            read: { bytes in
                let number = tokenNumber.add(1, ordering: .relaxed).oldValue
                let state = URL(filePath: directory).appending(path: "fuzz-token-\(getpid())-\(number)")
                let tokens = state.appending(path: "tokens")
                defer { try? FileManager.default.removeItem(at: state) }
                guard (try? FileManager.default.createDirectory(at: tokens, withIntermediateDirectories: true)) != nil,
                    (try? Data(bytes).write(to: tokens.appending(path: name + ".json"))) != nil
                else { return .rejected }
                let store = TokenStore(state: state)
                let found = store.check(token)
                return store.list().isEmpty ? .rejected : found == nil ? .partly : .whole
            })
    }
}
