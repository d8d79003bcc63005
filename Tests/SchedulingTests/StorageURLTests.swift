import Cluster
import Testing

@Suite struct StorageURLTests {
    @Test func theirPartsAreFound() {
        func parts(_ url: String) -> [String] { [StorageURL(url).endpoint, StorageURL(url).path] }
        #expect(parts("root://u@h:1094//store//a.root?authz=x&tried=b") == ["root://h:1094", "/store//a.root"])
        #expect(
            parts("davs://h/a/b.root?x=/y") == ["davs://h", "/a/b.root"] && parts("root://h") == ["root://h", "/"])
        #expect(
            parts("root://h//a/?.root") == ["root://h", "/a/?.root"]
                && parts("root://h//s?/a") == ["root://h", "/s?/a"])
        #expect(parts("lfn:/store/a") == ["lfn", "/store/a"] && StorageURL("lfn:/x").kind == .logical)
        #expect(
            StorageURL("root://[::1]:1094//a").host == "::1" && StorageURL("root://h//a").isAt("h:1094")
                && !StorageURL("root://h:1//a").isAt("h:2"))
        #expect(
            StorageURL.join("root://h", "/a") == "root://h//a" && StorageURL.join("https://h", "/a") == "https://h/a")
        #expect(parts("https://evil?@h/a")[0] == "https://evil" && parts("https://evil#@h/a")[0] == "https://evil")
        #expect(StorageURL("https://a b/x").kind == .unsupported(scheme: "https"))
        #expect(StorageURL("davs://h/a").isEncrypted && !StorageURL("root://h/a").isEncrypted)
    }
}

@Suite struct LocalPathTests {
    @Test func onlyPathsBelowADeclaredDirectoryAreRead() {
        #expect(mayRead("/data/a.root", below: ["/data"]) && mayRead("/data/x/a.root", below: ["/other", "/data/"]))
        // By its name alone `..` stays inside, or does not.
        #expect(mayRead("/data/x/../a.root", below: ["/data"]) && mayRead("/o/../data//a.root", below: ["/data/"]))
        #expect(mayRead("/data", below: ["/data"]) && mayRead("/anything", below: ["/"]))
        for path in ["/data/..", "/data/../etc/x", "/database/a.root", "/etc/x", "data/a.root"] {
            #expect(!mayRead(path, below: ["/data"]))
        }
        #expect(localPath(of: "file:///data/a.root") == "/data/a.root" && localPath(of: "file:/data/a") == "/data/a")
        #expect(localPath(of: "/data//x/./../a/") == "/data/a" && localPath(of: "file:/a/../../b") == "/b")
        #expect(localPath(of: "../a") == "../a" && localPath(of: "/..a/b..") == "/..a/b..")
        #expect(localPath(of: "/data/a") == "/data/a" && localPath(of: "root://h:1//data/a") == nil)
    }
}
