import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import org.codelibs.opensearch.runner.node.OpenSearchRunnerNode;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.plugins.Plugin;

/**
 * Runs one node of OpenSearch with the modules that every release of it has, until it is told to end. The public image reads settings
 * from environment variables whose names have a dot; so does this.
 */
public final class OneNode {
    private static final Path HOME = Path.of("/usr/share/opensearch");
    private static final List<String> MODULES = List.of(
            "org.opensearch.analysis.common.CommonAnalysisPlugin",
            "org.opensearch.index.mapper.MapperExtrasPlugin",
            "org.opensearch.index.rankeval.RankEvalPlugin",
            "org.opensearch.index.reindex.ReindexPlugin",
            "org.opensearch.ingest.common.IngestCommonPlugin",
            "org.opensearch.join.ParentJoinPlugin",
            "org.opensearch.painless.PainlessPlugin",
            "org.opensearch.percolator.PercolatorPlugin",
            "org.opensearch.script.expression.ExpressionPlugin",
            "org.opensearch.script.mustache.MustachePlugin",
            "org.opensearch.search.aggregations.matrix.MatrixAggregationPlugin",
            "org.opensearch.transport.Netty4Plugin");

    private OneNode() {}

    /** Starts it; its end comes with a signal. */
    public static void main(String[] arguments) throws Exception {
        // It wants a folder of configuration beside its logs, and both are empty: all is said here, and logs go to the output.
        Path scratch = Files.createTempDirectory("opensearch");
        Settings.Builder settings = Settings.builder()
                .put("cluster.name", "opensearch")
                .put("node.name", "opensearch")
                .put("network.host", "0.0.0.0")
                .put("http.port", "9200");
        System.getenv().entrySet().stream().filter(OneNode::isSetting).forEach(e -> settings.put(e.getKey(), e.getValue()));
        settings.put("path.home", scratch.toString())
                .put("path.logs", scratch.resolve("logs").toString())
                .put("path.data", HOME.resolve("data").toString())
                .put("http.type", "netty4")
                .put("transport.type", "netty4");
        Path configuration = Files.createDirectory(scratch.resolve("config"));
        OpenSearchRunnerNode node = new OpenSearchRunnerNode(new Environment(settings.build(), configuration), modules());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        System.err.println("opensearch: answers on port 9200");
        Thread.currentThread().join();
    }

    /** For example discovery.type; plugins.security belongs to a plugin that is not here. */
    private static boolean isSetting(Map.Entry<String, String> variable) {
        return variable.getKey().matches("[a-z0-9_]+(\\.[a-z0-9_]+)+") && !variable.getKey().startsWith("plugins.");
    }

    private static Collection<Class<? extends Plugin>> modules() throws ClassNotFoundException {
        List<Class<? extends Plugin>> found = new ArrayList<>();
        for (String name : MODULES) {
            found.add(Class.forName(name).asSubclass(Plugin.class));
        }
        return found;
    }

    private static void close(OpenSearchRunnerNode node) {
        try {
            node.close();
        } catch (Exception error) {
            System.err.println("opensearch: its end was not orderly: " + error);
        }
    }
}
