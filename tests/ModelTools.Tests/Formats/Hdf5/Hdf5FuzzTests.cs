using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Hdf5;
using Whatsit.ModelTools.Tests.Formats.Keras;

namespace Whatsit.ModelTools.Tests.Formats.Hdf5;

public sealed class Hdf5FuzzTests
{
    public static TheoryData<string> Files => ["earliest.h5", "latest.h5", "many-links.h5", "superblock2.h5", "userblock.h5"];

    [Theory]
    [MemberData(nameof(Files))]
    public void A_damaged_file_is_read_or_refused_in_bounded_time_and_memory(string file)
    {
        var original = File.ReadAllBytes(KerasFiles.Path(file));
        DamagedFiles.AssertBounded(400, refusedAtLeast: 50, Read, (_, random) => Damage.Apply(original, random));

        static void Read(byte[] damaged)
        {
            using var hdf5 = Hdf5File.Open(new MemoryStream(damaged));
            ReadAll(hdf5.Root, deep: 4);
        }
    }

    private static void ReadAll(Hdf5Group group, int deep)
    {
        ReadAttributes(group);
        foreach (var name in deep > 0 ? group.Names : [])
        {
            Hdf5Object? found;
            try
            {
                found = group.Find(name);
            }
            catch (ModelFormatException exception)
                when (exception.Message.Contains("another file", StringComparison.Ordinal) || exception.Message.Contains("soft link", StringComparison.Ordinal))
            {
                continue; // the files hold such links on purpose
            }

            if (found is Hdf5Group inner)
            {
                ReadAll(inner, deep - 1);
            }
            else if (found is Hdf5Dataset dataset)
            {
                ReadAttributes(dataset);
                dataset.Read();
            }
        }
    }

    private static void ReadAttributes(Hdf5Object owner)
    {
        foreach (var attribute in owner.Attributes.Values.Where(attribute => !attribute.Name.StartsWith("integer", StringComparison.Ordinal)))
        {
            attribute.ReadStrings();
        }
    }
}
